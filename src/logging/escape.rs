//! Escaping, so that what comes from outside stays inside its value (SEC-G2): control characters of both sets, and the
//! separators and direction marks that make a line look like another.

use std::borrow::Cow;
use std::fmt::{self, Debug, Write as _};
use std::io;

use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::field::delimited::Delimited;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{FieldFn, Writer, debug_fn};

fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

type WriteField = fn(&mut Writer<'_>, &Field, &dyn Debug) -> fmt::Result;

/// `message key=value key="a value"`, escaped.
pub(super) fn text_fields() -> Delimited<&'static str, FieldFn<WriteField>> {
    debug_fn(write_field as WriteField).delimited(" ")
}

fn write_field(to: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let text = format!("{value:?}");
    if field.name() != "message" {
        write!(to, "{}=", field.name())?;
        // So that a value can't pass for more fields.
        if text.contains([' ', '=']) && !text.starts_with('"') {
            return to.write_str(&escaped(&format!("{text:?}"), |c| c.escape_unicode().to_string()));
        }
    }
    to.write_str(&escaped(&text, |c| c.escape_unicode().to_string()))
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hostile(c) {
            out.push_str(&escape(c));
        } else {
            out.push(c);
        }
    }
    out.into()
}

/// Escapes what JSON itself leaves bare. The formatter hands over one whole event, a line, in one write.
#[derive(Debug)]
pub(super) struct JsonWriter<M>(pub M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for JsonWriter<M> {
    type Writer = JsonLine<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        JsonLine(self.0.make_writer())
    }
}

#[derive(Debug)]
pub(super) struct JsonLine<W>(W);

impl<W: io::Write> io::Write for JsonLine<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Nearly every line is plain ASCII, and goes out as it is.
        if let [body @ .., b'\n'] = line
            && body.iter().all(|byte| matches!(byte, b' '..=b'~'))
        {
            self.0.write_all(line)?;
            return Ok(line.len());
        }
        let text = String::from_utf8_lossy(line);
        let body = text.strip_suffix('\n').unwrap_or(&text);
        let mut out = escaped(body, json_escape).into_owned();
        out.push('\n');
        self.0.write_all(out.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn json_escape(c: char) -> String {
    let mut units = [0; 2];
    c.encode_utf16(&mut units).iter().fold(String::new(), |mut out, unit| {
        let _ = write!(out, "\\u{unit:04x}");
        out
    })
}
