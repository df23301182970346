//! The report as one page that needs nothing else: no script, no network, light or dark as its reader likes.

mod chart;
mod page;
mod plots;
mod scale;

use crate::report::Report;

impl Report {
    /// The report as an HTML page.
    pub fn html(&self) -> String {
        page::page(self)
    }
}

/// Text that may stand between tags and in attributes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_line_said_is_no_markup() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
