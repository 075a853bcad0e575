//! What the demo says when it runs: what there is, and commands to copy.
//!
//! Printed once on standard error, below the line that says where the server listens. Each command works as it stands in
//! a terminal of the same directory, which a test of the whole binary holds.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use hookyard_model::MessageId;

use super::systems::SYSTEMS;
use super::{APPLICATION, GOOD, SHAKY};
use crate::config::key;

/// Where commands look for a server by themselves.
const USUAL_ADDRESS: &str = "127.0.0.1:8080";
/// How wide prose may be; commands are as long as they are.
const COLUMNS: usize = 120;

/// Prints the welcome.
pub(super) fn print(address: SocketAddr, data: &Path, receiver: SocketAddr, first: Option<MessageId>) {
    use std::io::Write as _;
    let program =
        std::env::args_os().next().map_or_else(|| "hookyard".to_owned(), |name| name.to_string_lossy().into());
    // Whether anybody reads it changes nothing.
    let _ = std::io::stderr().write_all(text(&program, address, data, receiver, first).as_bytes());
}

fn text(program: &str, address: SocketAddr, data: &Path, receiver: SocketAddr, first: Option<MessageId>) -> String {
    let address = reachable(address);
    let program = quoted(program);
    let mut access = String::new();
    // Writing to a string cannot fail, here and below.
    if address.to_string() != USUAL_ADDRESS {
        let _ = write!(access, " --server http://{address}");
    }
    if data != Path::new(key::DATA.default) {
        let _ = write!(access, " --data {}", quoted(&data.display().to_string()));
    }
    let mut commands = vec![
        ("what was accepted", format!("{program} messages list {APPLICATION}{access}")),
        ("publish one yourself", format!("{program} send {APPLICATION} hello.world '{{\"hello\":\"world\"}}'{access}")),
        (
            "publish as a to-do app does",
            format!(
                "{program} send demo-vikunja task.created '{{\"task\":{{\"id\":1,\"title\":\"Oil the hinges\"}}}}'{access}"
            ),
        ),
        ("what a photo server announced", format!("{program} messages list demo-immich{access}")),
        ("who gets it, and where", format!("{program} endpoints list {APPLICATION}{access}")),
    ];
    if let Some(first) = first {
        commands
            .push(("why each endpoint got it", format!("{program} messages explain {APPLICATION} {first}{access}")));
        commands.push(("every attempt of it", format!("{program} messages show {APPLICATION} {first}{access}")));
        commands.push(("send it once more", format!("{program} resend {APPLICATION} {first} {GOOD}{access}")));
    }
    commands.push(("let the receiver fail", format!("curl -X POST 'http://{receiver}/fail?seconds=30'")));
    commands.push(("and recover", format!("curl -X POST http://{receiver}/recover")));
    commands.push(("what it verified", format!("curl http://{receiver}/")));
    commands.push(("count everything", format!("curl http://{address}/metrics")));

    let systems: Vec<String> = SYSTEMS.iter().map(|system| format!("`{}`", system.application)).collect();
    let systems = systems.join(", ");
    let runs = format!(
        "The demo runs: an event happens every 2 s. Every second one is of application `{APPLICATION}`: endpoint \
         `{GOOD}` gets all of them; endpoint `{SHAKY}` gets orders and tasks, fails for the first 8 s of every minute \
         and recovers. The others are of {systems}; each leaves as that system would send it. All lead to a receiver in \
         this process, at http://{receiver}, that verifies who sent them. A failed attempt is a line below, tried again \
         after 5 s; what arrives at once is silent."
    );
    let mut text = format!("\n{}\nIn another terminal, in this directory:\n\n", wrapped(&runs));
    for (what, command) in commands {
        let _ = writeln!(text, "  # {what}\n  {command}");
    }
    let token = format!(
        "The commands make their token from the key in `{}`. Ctrl-C stops; what is owed then is on disk and goes out at \
         the next start.",
        data.display()
    );
    let _ = write!(text, "\n{}\n", wrapped(&token));
    text
}

/// A paragraph in lines that fit the terminal; a word is never broken.
fn wrapped(paragraph: &str) -> String {
    let (mut text, mut width) = (String::new(), 0);
    for word in paragraph.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > COLUMNS {
            text.push('\n');
            width = 0;
        } else if width > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += length;
    }
    text.push('\n');
    text
}

/// An address that a client on this machine can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A text as a shell reads it back.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(program: &str, address: &str, data: &str) -> String {
        let receiver = "127.0.0.1:4000".parse().expect("an address");
        text(program, address.parse().expect("an address"), Path::new(data), receiver, None)
    }

    #[test]
    fn a_usual_server_needs_no_flags() {
        let text = shown("target/release/hookyard", "127.0.0.1:8080", "./hookyard-data");
        assert!(text.contains("\n  target/release/hookyard messages list demo\n"), "{text}");
        assert!(!text.contains("--server") && !text.contains("--data"), "{text}");
    }

    #[test]
    fn prose_fills_its_lines_and_goes_over_none() {
        for data in ["./hookyard-data", "/srv/a-directory-whose-name-is-longer-than-most-of-those-that-people-make"] {
            let text = shown("hookyard", "127.0.0.1:8080", data);
            let paragraphs: Vec<Vec<&str>> = text
                .split("\n\n")
                .map(|paragraph| paragraph.lines().filter(|line| !line.is_empty()).collect())
                .filter(|lines: &Vec<&str>| lines.len() > 1 && !lines[0].starts_with(' '))
                .collect();
            assert_eq!(paragraphs.len(), 2, "{text}");
            for lines in paragraphs {
                for pair in lines.windows(2) {
                    let next = pair[1].split(' ').next().unwrap_or_default();
                    assert!(pair[0].len() <= COLUMNS && pair[0].len() + 1 + next.len() > COLUMNS, "{}", pair[0]);
                }
            }
        }
    }

    #[test]
    fn another_address_and_directory_stand_in_every_command() {
        for (address, server) in [("0.0.0.0:99", "http://127.0.0.1:99"), ("[::]:99", "http://[::1]:99")] {
            let text = shown("/opt/hook yard", address, "/srv/it's");
            let commands: Vec<&str> = text.lines().filter(|line| line.contains("hook yard")).collect();
            assert_eq!(commands.len(), 5);
            for command in commands {
                assert!(command.starts_with("  '/opt/hook yard' "), "{command}");
                assert!(command.ends_with(&format!(r" --server {server} --data '/srv/it'\''s'")), "{command}");
            }
            assert!(text.contains(&format!("curl {server}/metrics")), "{text}");
        }
    }
}
