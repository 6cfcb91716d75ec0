//! Tables and lists of fields, aligned by what letters take on a terminal. On a terminal that is too narrow the
//! column that may shrink loses its middle; elsewhere nothing is cut.

use unicode_width::UnicodeWidthStr as _;

use super::output::{Screen, Tone, clean};

/// Between columns.
const GAP: &str = "  ";
/// A column shrinks to this and not further.
const LEAST: usize = 12;

/// A piece of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(super) fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: clean(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Columns by their titles: `>` before one aligns it right, `~` lets it lose its middle, `…` its end, which goes first.
#[derive(Debug)]
pub(super) struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(titles: &[&'static str]) -> Self {
        Self { titles: titles.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn render(&self, screen: &Screen) -> String {
        let title = |at: usize| self.titles[at].trim_start_matches(['>', '~', '…']);
        let mut widths: Vec<usize> = (0..self.titles.len())
            .map(|at| {
                let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.text.width());
                cells.chain([title(at).width()]).max().unwrap_or(0)
            })
            .collect();
        if let Some(room) = screen.width {
            let total = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
            let mut over = total.saturating_sub(room);
            for mark in ['…', '~'] {
                for (at, width) in widths.iter_mut().enumerate().filter(|(at, _)| self.titles[*at].starts_with(mark)) {
                    let shrunk = width.saturating_sub(over).max(LEAST.max(title(at).width())).min(*width);
                    over -= *width - shrunk;
                    *width = shrunk;
                }
            }
        }
        let head: Vec<Cell> = (0..self.titles.len()).map(|at| Cell::new(title(at), Tone::Faint)).collect();
        let lines = std::iter::once(&head).chain(&self.rows).map(|row| {
            let cells = row.iter().enumerate().map(|(at, cell)| {
                let keep_end = !self.titles[at].starts_with('…');
                let text = shorten(&cell.text, widths[at], keep_end);
                let pad = " ".repeat(widths[at].saturating_sub(text.width()));
                let text = screen.paint(&text, cell.tone);
                match self.titles[at].starts_with('>') {
                    true => format!("{pad}{text}"),
                    // Nothing stands after the last column.
                    false if at + 1 == row.len() => text,
                    false => format!("{text}{pad}"),
                }
            });
            let line = cells.collect::<Vec<_>>().join(GAP);
            line.trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Names and values below each other; those without a value are left out.
pub(super) fn fields<'a>(screen: &Screen, pairs: impl IntoIterator<Item = (&'a str, Cell)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.text.is_empty()).collect();
    let width = pairs.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let line = |(name, value): &(&str, Cell)| {
        let pad = " ".repeat(width - name.width());
        format!("{}{pad}{GAP}{}", screen.paint(name, Tone::Faint), screen.paint(&value.text, value.tone))
    };
    pairs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Takes letters out until the text fits: of paths the middle, as their beginnings and ends tell most; of prose the end.
fn shorten(text: &str, width: usize, keep_end: bool) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let front_room = if keep_end { room / 3 } else { room };
    let back_room = room - front_room;
    let take = |letters: &mut dyn Iterator<Item = char>, room: usize| {
        let mut taken = String::new();
        for letter in letters {
            if taken.width() + letter.to_string().width() > room {
                break;
            }
            taken.push(letter);
        }
        taken
    };
    let front = take(&mut text.chars(), front_room);
    let back: String = take(&mut text.chars().rev(), back_room).chars().rev().collect();
    format!("{front}…{back}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(width: Option<usize>) -> Screen {
        Screen { json: false, colour: false, width }
    }

    fn table() -> Table {
        let mut table = Table::new(&["~NAME", ">SIZE", "STATUS"]);
        table.row(["a/b".into(), "1.5 KiB".into(), "complete".into()]);
        table.row(["模型".into(), "17 B".into(), "none".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_by_width() {
        let shown = table().render(&screen(None));
        assert_eq!(shown, "NAME     SIZE  STATUS\na/b   1.5 KiB  complete\n模型     17 B  none");
    }

    #[test]
    fn only_a_terminal_cuts_and_only_the_middle() {
        let mut table = table();
        table.row(["organisation/a-very-long-name-of-a-model-Q4_K_M.gguf".into(), "1 B".into(), "x".into()]);
        let narrow = table.render(&screen(Some(45)));
        assert!(narrow.lines().all(|line| line.width() <= 45), "{narrow}");
        assert!(narrow.contains("organisa…") && narrow.contains("Q4_K_M.gguf"), "{narrow}");
        assert_eq!(shorten("main is 6ed7cf34277e with 7 files", 12, false), "main is 6ed…");
        assert!(table.render(&screen(None)).contains("organisation/a-very-long-name-of-a-model-Q4_K_M.gguf"));
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        let shown = fields(&screen(None), [("id", "1".into()), ("nothing", "".into()), ("commit", "abc".into())]);
        assert_eq!(shown, "id      1\ncommit  abc");
    }
}
