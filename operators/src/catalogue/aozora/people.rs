//! Credits the people of a work: authors first, everybody else in brackets with what they did.

/// Somebody who had a part in a work.
#[derive(Debug)]
pub struct Person {
    /// 姓名.
    pub full_name: String,
    credited: String,
    role: String,
}

impl Person {
    /// Somebody by the fields of the index.
    pub fn new(family: &str, given: &str, role: &str) -> Self {
        let is_foreign = |name: &str| {
            !name.is_empty() && name.chars().all(|c| matches!(c, '゠'..='ヿ' | '＝' | ' ' | '　'))
        };
        let full_name = format!("{family}{given}");
        let credited = if is_foreign(family) && is_foreign(given) {
            format!("{given}・{family}")
        } else {
            full_name.clone()
        };
        Self { full_name, credited, role: role.to_owned() }
    }
}

/// Such as `ワシントン・アーヴィング（吉田甲子太郎訳）`.
pub fn credit(people: &[Person]) -> String {
    let (mut authors, mut others) = (Vec::new(), Vec::new());
    for person in people {
        let name = &person.credited;
        match person.role.as_str() {
            "著者" => authors.push(name.clone()),
            "翻訳者" => others.push(format!("{name}訳")),
            "校訂者" => others.push(format!("{name}校訂")),
            "編者" => others.push(format!("{name}編")),
            role => others.push(format!("{name}{role}")),
        }
    }
    let (authors, others) = (authors.join("、"), others.join("、"));
    match (authors.is_empty(), others.is_empty()) {
        (_, true) => authors,
        (true, false) => others,
        (false, false) => format!("{authors}（{others}）"),
    }
}
