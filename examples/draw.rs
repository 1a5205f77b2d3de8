use crossmill::report::{Sink, Style, Verbosity, eventlog, table, terminal, timeline};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let p = std::path::Path::new(&a[2]);
    match a[1].as_str() {
        "html" => print!("{}", timeline::html(&eventlog::picture(p).unwrap())),
        "table" => print!("{}", table::text(&eventlog::picture(p).unwrap(), Style::COLOURED)),
        _ => {
            let mut t = terminal::Terminal::new(Verbosity::Normal);
            let speed: u64 = a[3].parse().unwrap();
            let mut last = 0;
            for e in eventlog::open(p).unwrap() {
                let e = e.unwrap();
                std::thread::sleep(std::time::Duration::from_millis((e.at_ms.saturating_sub(last)) / speed));
                last = e.at_ms;
                t.event(&e);
            }
            t.finish();
        }
    }
}
