//! Go's spelling of long flags: `-config=x` and `-config x` mean `--config`.

use std::ffi::OsString;

/// Puts a second dash before long flags that were written with one. Arguments behind `--` and
/// texts that are no flag of ours stay as they are.
pub(super) fn in_two_dashes(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut flags_ended = false;
    args.into_iter()
        .map(|arg| {
            flags_ended |= arg == "--";
            match arg.to_str() {
                Some(text) if !flags_ended && is_long_with_one_dash(text) => {
                    format!("-{text}").into()
                }
                _ => arg,
            }
        })
        .collect()
}

fn is_long_with_one_dash(text: &str) -> bool {
    let Some(flag) = text.strip_prefix('-') else { return false };
    let name = flag.split('=').next().unwrap_or_default();
    LONG.contains(&name)
}

/// The flags that exist in the Collector's command line.
const LONG: [&str; 8] =
    ["config", "set", "feature-gates", "help", "version", "mode", "format", "validate"];

#[cfg(test)]
mod tests {
    use super::in_two_dashes;

    fn rewritten(args: &[&str]) -> Vec<String> {
        in_two_dashes(args.iter().map(Into::into))
            .into_iter()
            .map(|arg| arg.into_string().unwrap())
            .collect()
    }

    #[test]
    fn one_dash_becomes_two_for_flags_of_the_collector_only() {
        assert_eq!(
            rewritten(&["portcullis", "-config=a", "-set", "b=c", "-v", "-x=1", "--config", "-"]),
            ["portcullis", "--config=a", "--set", "b=c", "-v", "-x=1", "--config", "-"]
        );
        assert_eq!(rewritten(&["p", "--", "-config"]), ["p", "--", "-config"]);
    }
}
