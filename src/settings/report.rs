//! What is wrong with a settings file, shown with its lines: file, line, column, cause and fix of
//! every mistake at once.

use std::fmt;
use std::ops::Range;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};
use serde::Serialize;

use super::problem::{Place, Problem, Severity};
use super::toml_file::{TomlFile, key_path};

/// All that was found in one file, in the order of the text.
#[derive(Clone, Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
    text: String,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub fix: String,
    /// Line and column of the other place, where two do not fit together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<(usize, usize)>,
    #[serde(skip)]
    span: Range<usize>,
    #[serde(skip)]
    other_span: Option<Range<usize>>,
}

impl Report {
    /// Finds the place in `file` of every syntax error and of every problem; `path_of` turns a
    /// place in the settings into a path in the file.
    pub(super) fn new(
        file: &TomlFile,
        problems: &[Problem],
        path_of: impl Fn(&Place) -> Option<String>,
    ) -> Report {
        let mut findings = Vec::new();
        for (span, message) in &file.errors {
            let fix = "Mend the line as TOML; text stands in quotes, lists in brackets.";
            findings.push(Finding::new(file, Severity::Error, span.clone(), message, fix));
        }
        for problem in problems {
            let path = path_of(&problem.place).unwrap_or_default();
            // What is wrong with an unknown key is the key, not its value.
            let unknown = problem.message.starts_with("Unknown key");
            let span = file.span(&if unknown { key_path(&path) } else { path });
            let mut found =
                Finding::new(file, problem.severity, span, &problem.message, &problem.fix);
            if let Some(path) = problem.other.as_ref().and_then(&path_of) {
                let span = file.span(&path);
                found.other = Some(file.line_column(span.start));
                found.other_span = Some(span);
            }
            findings.push(found);
        }
        findings.sort_by_key(|found| (found.span.start, found.span.end));
        findings.dedup();
        Report { findings, text: file.text.clone() }
    }

    /// A report about a file that could not even be read.
    pub fn unreadable(file: &str, error: &std::io::Error) -> Report {
        let found = Finding {
            file: file.to_owned(),
            line: 1,
            column: 1,
            severity: Severity::Error,
            message: format!("{file} cannot be read: {error}."),
            fix: "Name a file that exists and that Lanward may read.".to_owned(),
            other: None,
            span: 0..0,
            other_span: None,
        };
        Report { findings: vec![found], text: String::new() }
    }

    /// All mistakes, in the order of the text.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether the file has to be refused.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|found| found.severity == Severity::Error)
    }

    /// For people: each mistake with its lines of the file; in colours or without.
    pub fn render(&self, colours: bool) -> String {
        let theme =
            if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler =
            GraphicalReportHandler::new_themed(theme).with_width(80).with_context_lines(1);
        let mut out = String::new();
        for found in &self.findings {
            let shown = Shown {
                found,
                source: NamedSource::new(&found.file, self.text.clone()).with_language("toml"),
                empty: self.text.is_empty(),
            };
            if handler.render_report(&mut out, &shown).is_err() {
                out.push_str(&found.to_string());
            }
            out.push('\n');
        }
        out
    }
}

/// One line for each mistake, as for a log.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, found) in self.findings.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{found}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

impl Finding {
    fn new(
        file: &TomlFile,
        severity: Severity,
        span: Range<usize>,
        message: &str,
        fix: &str,
    ) -> Finding {
        let (line, column) = file.line_column(span.start);
        Finding {
            file: file.name.clone(),
            line,
            column,
            severity,
            message: message.to_owned(),
            fix: fix.to_owned(),
            other: None,
            span,
            other_span: None,
        }
    }
}

/// `household.toml:12:9: error: 10.0.30.5 is outside *iot* 10.0.20.0/24. Use ..`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        let Finding { file, line, column, message, fix, .. } = self;
        write!(f, "{file}:{line}:{column}: {severity}: {message} {fix}")?;
        match self.other {
            Some((line, column)) => write!(f, " (see {file}:{line}:{column})"),
            None => Ok(()),
        }
    }
}

/// A finding as miette draws it.
#[derive(Debug)]
struct Shown<'r> {
    found: &'r Finding,
    source: NamedSource<String>,
    empty: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.found.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.found.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.found.fix))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        (!self.empty).then_some(&self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = |span: &Range<usize>, text: Option<&str>| {
            LabeledSpan::new(text.map(str::to_owned), span.start, span.len())
        };
        let here = label(&self.found.span, None);
        let here = LabeledSpan::new_primary_with_span(None, *here.inner());
        let other = self.found.other_span.as_ref().map(|span| label(span, Some("see here")));
        Some(Box::new(std::iter::once(here).chain(other)))
    }
}
