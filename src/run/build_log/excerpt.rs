//! The lines of a failing log that a person wants to see first.

use super::classify::{Class, Sure, judge};
use std::collections::VecDeque;
use std::io::{self, BufRead};

/// Bytes of a line that are examined. A command of GCC's link fits.
const WIDEST: usize = 4096;
/// Characters of a line that are shown.
const SHOWN: usize = 400;
/// Lines kept in case the next one is an error.
const BEFORE: usize = 2;
/// Lines shown after an error: the source line, its marks, a note.
const AFTER: usize = 4;
/// Number of lines before `Error 1 (ignored)` in which an error is taken for the ignored one.
const NEAR: u64 = 30;
/// Lines of the end that are shown when nothing looks like an error.
const TAIL: usize = 20;

/// Why a log's build failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// The class of the first real error.
    pub class: Class,
    /// The first real errors with their context; `…` stands for lines left out.
    pub excerpt: Vec<String>,
}

/// Findings of one degree of certainty.
#[derive(Debug, Default)]
struct Found {
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    at: u64,
    class: Class,
    lines: Vec<String>,
}

impl Block {
    fn is_traceback(&self) -> bool {
        self.lines.iter().any(|line| line.starts_with("Traceback (most recent call last)"))
    }
}

impl Found {
    fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.lines.len()).sum()
    }
}

/// Takes a log line by line; memory does not grow with it.
#[derive(Debug)]
pub struct Scanner {
    max: usize,
    number: u64,
    before: VecDeque<String>,
    tail: VecDeque<String>,
    found: [Found; 5],
    /// make's first complaint and the lines before it: all there is when nothing else is found.
    gave_up: Option<Vec<String>>,
    /// The degree whose last block still takes lines, and how many.
    after: Option<(usize, usize)>,
}

impl Scanner {
    /// For an excerpt of at most `max` lines.
    pub fn new(max: usize) -> Self {
        let found = std::array::from_fn(|_| Found::default());
        let (before, tail) = (VecDeque::new(), VecDeque::new());
        Self { max: max.max(1), number: 0, before, tail, found, gave_up: None, after: None }
    }

    /// Takes the next line.
    pub fn line(&mut self, line: &str) {
        self.number += 1;
        let line = line.trim_end();
        if line.contains("(ignored)") && line.starts_with("make") {
            self.ignore_near();
        } else if let Some((sure, class)) = judge(head(line)) {
            if sure == Sure::Consequence && self.gave_up.is_none() {
                let skip = (self.tail.len() + 1).saturating_sub(self.max);
                let words = self.tail.iter().skip(skip).cloned().chain([clip(line)]);
                self.gave_up = Some(words.collect());
            }
            self.hit(sure as usize, class, line);
        } else {
            self.follow(line);
        }
        keep(&mut self.tail, line, TAIL.min(self.max));
    }

    fn hit(&mut self, degree: usize, class: Class, line: &str) {
        let max = self.max;
        let follows = self.after.is_some_and(|(of, _)| of == degree);
        let found = &mut self.found[degree];
        if found.len() >= max {
            self.after = None;
            self.before.clear();
            return;
        }
        let shown = clip(line);
        match found.blocks.last_mut() {
            Some(block) if follows => {
                // The last line of a traceback names its cause.
                if block.is_traceback() && block.class == Class::Other {
                    block.class = class;
                }
                block.lines.push(shown);
            }
            _ => {
                let mut lines: Vec<String> = self.before.drain(..).collect();
                lines.push(shown);
                found.blocks.push(Block { at: self.number, class, lines });
            }
        }
        self.before.clear();
        self.after = Some((degree, AFTER));
    }

    fn follow(&mut self, line: &str) {
        let Some((degree, left)) = self.after else {
            return keep(&mut self.before, line, BEFORE);
        };
        // Lines that belong to an error are indented, quoted source, notes, or its include chain.
        let belongs = line.starts_with([' ', '|', '\t']) || line.contains("note: ") || left > 1;
        let other = line.is_empty() || super::activity(line).is_some() || line.starts_with("make");
        let found = &mut self.found[degree];
        if left == 0 || !belongs || other || found.len() >= self.max {
            self.after = None;
            return keep(&mut self.before, line, BEFORE);
        }
        if let Some(block) = found.blocks.last_mut() {
            block.lines.push(clip(line));
        }
        self.after = Some((degree, left - 1));
    }

    /// make ignores a failure: the last finding is not the cause.
    fn ignore_near(&mut self) {
        self.after = None;
        let since = self.number.saturating_sub(NEAR);
        for degree in [Sure::Perhaps as usize, Sure::Error as usize] {
            let blocks = &mut self.found[degree].blocks;
            let from = blocks.partition_point(|block| block.at < since);
            let ignored = blocks.split_off(from);
            let kept = &mut self.found[Sure::Ignored as usize];
            if kept.len() < self.max {
                kept.blocks.extend(ignored);
            }
        }
    }

    /// Returns the finding. A log without any error shows its end.
    pub fn finish(self) -> Finding {
        let Self { max, tail, found, gave_up, .. } = self;
        let [_, ignored, perhaps, error, machine] = found;
        let complaint = gave_up.as_ref().and_then(|words| words.last().cloned());
        let some = |found: &Found| !found.blocks.is_empty();
        // Failures that make ignored are reported only where make itself did not give up.
        let ignored = Some(ignored).filter(|_| gave_up.is_none());
        let Some(found) = [machine, error, perhaps].into_iter().chain(ignored).find(some) else {
            return Finding { class: Class::Other, excerpt: gave_up.unwrap_or(tail.into()) };
        };
        let class = match found.blocks.first() {
            // Of a long one the end is a block of its own.
            Some(first) if first.is_traceback() => {
                let named = found.blocks.iter().map(|block| block.class).find(|class| *class != Class::Other);
                named.unwrap_or(first.class)
            }
            Some(first) => first.class,
            None => Class::Other,
        };
        let mut excerpt: Vec<String> = Vec::new();
        for block in found.blocks {
            if !excerpt.is_empty() {
                excerpt.push("…".to_owned());
            }
            excerpt.extend(block.lines);
        }
        excerpt.truncate(max);
        // Which file make was at when it gave up, if that is not reported already.
        if let Some(line) = complaint.filter(|line| excerpt.len() < max && !excerpt.contains(line)) {
            excerpt.push(line);
        }
        Finding { class, excerpt }
    }
}

fn keep(lines: &mut VecDeque<String>, line: &str, most: usize) {
    if line.is_empty() {
        return;
    }
    if lines.len() >= most {
        lines.pop_front();
    }
    lines.push_back(clip(line));
}

/// Returns the part of a line that is examined.
fn head(line: &str) -> &str {
    let mut end = line.len().min(WIDEST);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

/// Returns a line as it is shown: no control characters, which could drive a terminal, and not
/// endless.
fn clip(line: &str) -> String {
    let mut shown: String = line.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Returns the first real error lines with context, at most `max` lines.
pub fn excerpt<'a>(lines: impl IntoIterator<Item = &'a str>, max: usize) -> Vec<String> {
    let mut scanner = Scanner::new(max);
    lines.into_iter().for_each(|line| scanner.line(line));
    scanner.finish().excerpt
}

/// Reads a whole log, whatever bytes it has and however long its lines are.
pub fn read(mut log: impl BufRead, max: usize) -> io::Result<Finding> {
    let mut scanner = Scanner::new(max);
    let mut line = Vec::new();
    loop {
        line.clear();
        let (ended, got) = read_line(&mut log, &mut line)?;
        if !ended && !got {
            return Ok(scanner.finish());
        }
        scanner.line(&String::from_utf8_lossy(&line));
    }
}

/// Reads to the end of a line but keeps no more than [`WIDEST`] bytes of it.
/// Answers whether the line was ended, and whether there was anything.
fn read_line(log: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<(bool, bool)> {
    let mut got = false;
    loop {
        let bytes = log.fill_buf()?;
        if bytes.is_empty() {
            return Ok((false, got));
        }
        got = true;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let room = WIDEST.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(bytes.len(), |end| end + 1);
        log.consume(used);
        if end.is_some() {
            return Ok((true, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A line repeated endlessly, read without ever being whole in memory.
    struct Endless {
        left: usize,
        chunk: Vec<u8>,
        at: usize,
    }

    impl io::Read for Endless {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            unreachable!("only read through its buffer")
        }
    }

    impl BufRead for Endless {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            if self.at == self.chunk.len() && self.left > 0 {
                self.left -= 1;
                self.at = 0;
            }
            Ok(&self.chunk[self.at..])
        }

        fn consume(&mut self, count: usize) {
            self.at += count;
        }
    }

    #[test]
    fn a_log_of_twenty_megabytes_keeps_few_lines() {
        let chunk = b"x.c:1:1: error: expected ';' before '}' token\n  CC kernel/fork.o\n".repeat(1000);
        let log = Endless { left: 20_000_000 / chunk.len(), at: chunk.len(), chunk };
        let found = read(log, 12).unwrap();
        assert_eq!(found.excerpt.len(), 12);
        assert_eq!(found.class, Class::CompileError);
    }

    #[test]
    fn a_line_without_end_is_clipped() {
        let found = read(io::Cursor::new(vec![b'a'; 1 << 20]), 5).unwrap();
        assert_eq!(found.excerpt[0].chars().count(), SHOWN + 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..2000), max in 0_usize..9) {
            let found = read(io::Cursor::new(bytes), max).unwrap();
            prop_assert!(found.excerpt.len() <= max.max(1));
            prop_assert!(found.excerpt.iter().all(|line| !line.contains(char::is_control)));
        }

        #[test]
        fn any_order_of_real_lines_is_taken(
            lines in prop::collection::vec("(make\\[1\\]: \\*\\*\\* \\[x\\] Error 1( \\(ignored\\))?|x\\.c:1: error: é|  CC x|sh: 1: a: not found| +\\||Killed|é\u{0}|)", 0..60),
            max in 1_usize..9,
        ) {
            prop_assert!(excerpt(lines.iter().map(String::as_str), max).len() <= max);
        }
    }
}
