//! The small list that comes with the program, so that a lone node filters something before
//! anybody has chosen a list.

/// Its text: host names of widely used advertising, tracking and telemetry services.
pub const BUILTIN_LIST: &str = include_str!("../data/builtin.txt");

/// Its id when it is used as a list.
pub const BUILTIN_ID: &str = "builtin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_built_in_list_is_a_rule_or_a_comment() {
        let report = crate::inspect(BUILTIN_LIST.as_bytes()).unwrap();
        assert_eq!(report.skipped().collect::<Vec<_>>(), []);
        assert!(report.rules >= 80, "{report:?}");
        let mut names: Vec<&str> =
            BUILTIN_LIST.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "a name stands twice");
    }
}
