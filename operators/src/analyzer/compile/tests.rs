//! Compiling, on a dictionary of one word and no connections.

use super::*;

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let sources = home.path().join("source");
    fs::create_dir(&sources).unwrap();
    let write = |name: &str, text: &str| fs::write(sources.join(name), text).unwrap();
    write("matrix.def", "1 1\n0 0 0\n");
    write("char.def", "DEFAULT 0 1 0\nSPACE 0 1 0\n0x0020 SPACE\n");
    write("unk.def", "DEFAULT,0,0,9,x,*,*,*,*,*,*\nSPACE,0,0,9,x,*,*,*,*,*,*\n");
    write("Noun.csv", "雨,0,0,1,名詞,一般,*,*,*,*,雨,アメ,アメ\n");
    home
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn compiles_once_and_leaves_nothing_aside() {
    let home = home();
    let folder = compiled(home.path()).unwrap();
    assert_eq!(names(home.path()), ["compiled", "compiling.lock", "source"]);
    let written = fs::metadata(folder.join(SUMS)).unwrap().modified().unwrap();
    assert_eq!(compiled(home.path()).unwrap(), folder);
    assert_eq!(fs::metadata(folder.join(SUMS)).unwrap().modified().unwrap(), written);
}

#[test]
fn who_comes_second_waits_and_finds_it_done() {
    let home = home();
    // What a killed process left must not be taken for a dictionary, nor stand in the way.
    fs::create_dir(home.path().join("compiled.aside")).unwrap();
    fs::write(home.path().join("compiled.aside/dict.vals"), "half").unwrap();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| compiled(home.path()))).collect();
        for one in all {
            assert_eq!(one.join().unwrap().unwrap(), home.path().join("compiled"));
        }
    });
    assert_eq!(names(home.path()), ["compiled", "compiling.lock", "source"]);
}

#[test]
fn sources_that_do_not_compile_leave_no_dictionary() {
    let home = home();
    fs::write(home.path().join("source/Noun.csv"), "雨,zero,0,1,名詞\n").unwrap();
    let error = compiled(home.path()).unwrap_err();
    assert!(matches!(error, DictionaryError::Compile { .. }), "{error}");
    assert!(!home.path().join("compiled").exists());
}

#[test]
fn a_file_that_was_not_written_here_is_damage() {
    let home = home();
    let folder = compiled(home.path()).unwrap();
    fs::write(folder.join("dict.extra"), "?").unwrap();
    assert!(matches!(compiled(home.path()), Err(DictionaryError::Damaged { .. })));
}

#[test]
fn a_dictionary_of_another_recipe_is_refused() {
    let home = home();
    let list = compiled(home.path()).unwrap().join(SUMS);
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replacen("recipe 1", "recipe 0", 1)).unwrap();
    let error = compiled(home.path()).unwrap_err().to_string();
    assert!(error.contains("another version"), "{error}");
}
