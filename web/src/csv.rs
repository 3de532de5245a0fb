//! Questions as comma-separated values (RFC 4180), for spreadsheets.

use std::borrow::Cow;

use crate::view::QueryRow;

/// The first line.
pub(crate) const HEAD: &str = "time,host,client,device,name,type,verdict,rcode,transport,dnssec,\
                               policy,upstream,list,rule,target,took_ms\r\n";

/// Appends one question as a line.
pub(crate) fn push(out: &mut String, row: &QueryRow) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let rule = |of: fn(&crate::view::QueryRule) -> Option<String>| {
        row.rule.as_ref().and_then(of).unwrap_or_default()
    };
    let fields = [
        row.at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        row.host.clone(),
        text(&row.client),
        text(&row.device),
        text(&row.name),
        row.qtype.clone(),
        row.verdict.clone(),
        row.rcode.clone(),
        row.transport.clone(),
        row.dnssec.clone(),
        row.policy.clone(),
        text(&row.upstream),
        rule(|rule| Some(rule.list.clone())),
        rule(|rule| rule.rule.clone()),
        rule(|rule| rule.target.clone()),
        row.took_ms.map(|ms| format!("{ms:.1}")).unwrap_or_default(),
    ];
    for (at, value) in fields.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&field(value));
    }
    out.push_str("\r\n");
}

/// One value. Names come from strangers, and a spreadsheet takes what begins with one of these for a
/// formula: an apostrophe makes it text.
fn field(value: &str) -> Cow<'_, str> {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if !formula && !value.contains([',', '"', '\r', '\n', ' ']) {
        return Cow::Borrowed(value);
    }
    let mark = if formula { "'" } else { "" };
    Cow::Owned(format!("\"{mark}{}\"", value.replace('"', "\"\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_from_strangers_are_text_to_a_spreadsheet() {
        assert_eq!(field("www.example"), "www.example");
        assert_eq!(field("a, b"), "\"a, b\"");
        assert_eq!(field("say \"no\""), "\"say \"\"no\"\"\"");
        assert_eq!(field("=cmd|' /C calc'!A0"), "\"'=cmd|' /C calc'!A0\"");
        assert_eq!(field("@SUM(A1)"), "\"'@SUM(A1)\"");
        assert_eq!(field("-1+1"), "\"'-1+1\"");
        assert_eq!(field(""), "");
    }
}
