//! The configuration: any text is either refused with findings that say where, or loaded; what was loaded, written out as it
//! is shown and loaded again, is the same.

use doorward::config::{Inputs, load, show};

pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // What it names on this machine is not for a fuzzer to open.
    if text.contains("_file") || text.len() > 4096 {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let inputs = |text: &str| {
        let path = dir.path().join("doorward.yaml");
        std::fs::write(&path, text).expect("written");
        Inputs { path: Some(path), ..Inputs::default() }
    };
    match load(&inputs(text)) {
        Err(errors) => {
            assert!(!errors.0.is_empty());
            for error in &errors.0 {
                assert!(!error.what.is_empty(), "{error:?}");
            }
            let again = load(&inputs(text)).expect_err("it is refused each time");
            assert_eq!(again.0, errors.0);
        }
        Ok(loaded) => {
            let shown = show::yaml(&loaded);
            // Passwords are not shown, so that configuration would be another one.
            if shown.contains("(hidden)") {
                return;
            }
            let again = load(&inputs(&shown)).unwrap_or_else(|errors| panic!("{errors}\nof\n{shown}"));
            let json = |loaded| serde_json::to_value(loaded).expect("JSON");
            assert_eq!(json(&loaded.config), json(&again.config), "{shown}");
        }
    }
}
