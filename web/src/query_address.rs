//! A question about the history as the query string of an address, and back.

use jiff::Timestamp;

use crate::format::encode;
use crate::view::{FieldError, QueriesQuestion, QueryFilter};

/// Reads it. Fields that are empty are not given: a form sends all of its fields.
pub(crate) fn read(pairs: &[(String, String)]) -> Result<QueriesQuestion, Vec<FieldError>> {
    let mut question = QueriesQuestion::default();
    let mut errors = Vec::new();
    for (field, value) in pairs {
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        let mut time = |field: &'static str| match value.parse::<Timestamp>() {
            Ok(at) => Some(at.as_millisecond()),
            Err(_) => {
                let message = "Write a time such as 2026-11-27T12:00:00Z.".to_owned();
                errors.push(FieldError { field, message });
                None
            }
        };
        match field.as_str() {
            "from" => question.filter.from_ms = time("from"),
            "to" => question.filter.to_ms = time("to"),
            "before" => question.before = Some(value.to_owned()),
            "after" => question.after = Some(value.to_owned()),
            "limit" => match value.parse() {
                Ok(limit) => question.limit = Some(limit),
                Err(_) => {
                    let message = "Write a number.".to_owned();
                    errors.push(FieldError { field: "limit", message });
                }
            },
            _ => {
                let (terms, field) = match field.strip_prefix("not_") {
                    Some(field) => (&mut question.filter.exclude, field),
                    None => (&mut question.filter.include, field.as_str()),
                };
                if QueryFilter::FIELDS.contains(&field) {
                    terms.push((field.to_owned(), value.to_owned()));
                }
            }
        }
    }
    if errors.is_empty() { Ok(question) } else { Err(errors) }
}

/// The query string of a filter, without the question mark.
pub(crate) fn write(filter: &QueryFilter) -> String {
    let mut parts = Vec::new();
    for (not, terms) in [("", &filter.include), ("not_", &filter.exclude)] {
        parts.extend(terms.iter().map(|(field, value)| format!("{not}{field}={}", encode(value))));
    }
    for (field, at) in [("from", filter.from_ms), ("to", filter.to_ms)] {
        let at = at.and_then(|at| Timestamp::from_millisecond(at).ok());
        parts.extend(at.map(|at| format!("{field}={}", encode(&at.to_string()))));
    }
    parts.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::query_pairs;

    #[test]
    fn an_address_says_what_its_filter_says() {
        let text = "device=tv&device=fd00%3A%3A1&verdict=blocked&not_name=a%26b%3D%3Ci%3E\
                    &from=2026-11-27T12%3A00%3A00Z";
        let question = read(&query_pairs(Some(text))).expect("fine");
        assert_eq!(question.filter.include.len(), 3);
        assert_eq!(question.filter.exclude, [("name".to_owned(), "a&b=<i>".to_owned())]);
        assert_eq!(write(&question.filter), text);
        assert_eq!(
            read(&query_pairs(Some("device=&not_type=+&nothing=1"))).expect("fine"),
            QueriesQuestion::default()
        );
    }

    #[test]
    fn a_time_or_a_number_that_is_none_is_told_by_field() {
        let errors = read(&query_pairs(Some("from=noon&limit=many"))).expect_err("wrong");
        assert_eq!(errors.iter().map(|e| e.field).collect::<Vec<_>>(), ["from", "limit"]);
    }
}
