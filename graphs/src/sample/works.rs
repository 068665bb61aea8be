//! What the sample library holds, carried inside the binary.
//!
//! The files lie in `graphs/sample` as UTF-8, pleasant to edit and to compare; the server encodes
//! them. A new page needs its line here and its row in the index; a test compares the two.

/// The index, UTF-8 without a byte order mark, lines ended by LF.
pub const INDEX: &str = include_str!("../../sample/list_person_all_extended_utf8.csv");

/// Names a page once: its path on the server, and its text.
macro_rules! page {
    ($path:literal) => {
        (concat!("/cards/", $path), include_str!(concat!("../../sample/cards/", $path)))
    };
}

/// The pages: path on the server, text.
pub const PAGES: [(&str, &str); 24] = [
    page!("990001/files/990101_1001.html"),
    page!("990001/files/990102_1002.html"),
    page!("990001/files/990103_1003.html"),
    page!("990001/files/990104_1004.html"),
    page!("990001/files/990105_1005.html"),
    page!("990001/files/990106_1006.html"),
    page!("990002/files/990111_1011.html"),
    page!("990002/files/990112_1012.html"),
    page!("990002/files/990113_1013.html"),
    page!("990002/files/990114_1014.html"),
    page!("990002/files/990115_1015.html"),
    page!("990002/files/990116_1016.html"),
    page!("990003/files/990121_1021.html"),
    page!("990003/files/990122_1022.html"),
    page!("990003/files/990123_1023.html"),
    page!("990003/files/990124_1024.html"),
    page!("990003/files/990125_1025.html"),
    page!("990005/files/990126_1026.html"),
    page!("990004/files/990131_1031.html"),
    page!("990004/files/990132_1032.html"),
    page!("990004/files/990133_1033.html"),
    page!("990004/files/990134_1034.html"),
    page!("990004/files/990135_1035.html"),
    page!("990004/files/990136_1036.html"),
];
