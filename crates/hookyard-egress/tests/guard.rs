//! The guard, asked as the doors and the client ask it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hookyard_egress::{Host, Opened, Policy, RANGES, Refusal, Standing};
use hookyard_model::{BlockedBy, Trust};
use proptest::prelude::*;
use url::Url;

fn policy(allow: &[&str]) -> Policy {
    Policy { allow: allow.iter().map(|entry| entry.parse().expect(entry)).collect(), ..Policy::default() }
}

fn judge(policy: &Policy, url: &str, trust: Trust) -> Result<(), &'static str> {
    let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    policy.judge_url(&url, trust).map(|_| ()).map_err(|refusal| refusal.rule.as_str())
}

#[test]
fn every_refused_range_opens_for_whom_the_table_says_and_for_nobody_else() {
    let shut = Policy::default();
    for range in RANGES {
        for ip in [range.net.network(), range.net.broadcast()] {
            // The edges of wide rows belong to narrower ones, and one row is decoded before the table is asked.
            let narrower = RANGES.iter().find(|row| row.net.contains(&ip)).expect("the row itself holds it");
            let nat64 = matches!(ip, IpAddr::V6(v6) if v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0]);
            if narrower != range || nat64 {
                continue;
            }
            let rule = |verdict: Result<(), Refusal>| verdict.map_err(|refusal| refusal.rule.as_str());
            let opens = |yes: bool| if yes { Ok(()) } else { Err(range.rule) };

            assert_eq!(rule(shut.judge_address(ip, 443, Standing::Unknown)), Err(range.rule), "{ip}");
            let named = rule(shut.judge_address(ip, 443, Standing::Named));
            assert_eq!(named, opens(range.opened == Opened::ByName), "{ip}, named by the operator");

            let everything = policy(&["0.0.0.0/0", "::/0"]);
            let by_network = matches!(range.opened, Opened::ByName | Opened::ByNetwork);
            let verdict = rule(everything.judge_address(ip, 443, Standing::Unknown));
            assert_eq!(verdict, opens(by_network), "{ip}, in an allowed network");

            let single = policy(&[&ip.to_string()]);
            let verdict = rule(single.judge_address(ip, 443, Standing::Unknown));
            // What spells IPv4 as IPv6 is read as the IPv4 address when it is an entry, and stays shut as a target.
            assert_eq!(verdict, opens(range.opened != Opened::Never), "{ip}, allowed by itself");
        }
    }
}

#[test]
fn an_entry_with_a_port_opens_that_port_only() {
    let policy = policy(&["192.168.1.5:8123", "169.254.169.254:80", "crm.lan:8080", "ha"]);
    for (url, verdict) in [
        ("http://192.168.1.5:8123/", Ok(())),
        ("http://192.168.1.5/", Err("private")),
        ("http://192.168.1.6:8123/", Err("private")),
        ("http://169.254.169.254/", Ok(())),
        ("http://169.254.169.254:81/", Err("metadata")),
        ("http://crm.lan:8080/", Ok(())),
        ("http://CRM.LAN.:8080/", Ok(())),
        ("http://ha:1/", Ok(())),
        ("http://hal/", Err("single_label")),
    ] {
        assert_eq!(judge(&policy, url, Trust::Strict), verdict, "{url}");
    }
}

#[test]
fn urls_are_judged_before_dns_is_asked() {
    fn check(url: &str, strict: Result<(), &'static str>, operator: Result<(), &'static str>) {
        let policy = Policy::default();
        assert_eq!(judge(&policy, url, Trust::Strict), strict, "{url}, from a stranger");
        assert_eq!(judge(&policy, url, Trust::Operator), operator, "{url}, from the operator");
        let untrusting = Policy { trust_files: false, ..Policy::default() };
        assert_eq!(judge(&untrusting, url, Trust::Operator), strict, "{url}, from files that are not trusted");
    }
    check("https://example.com/hook", Ok(()), Ok(()));
    check("http://1.1.1.1/", Ok(()), Ok(()));
    check("http://[2606:4700::1111]/", Ok(()), Ok(()));
    check("http://notlocalhost.example/", Ok(()), Ok(()));
    check("http://mylocal/", Err("single_label"), Ok(()));
    check("http://crm/", Err("single_label"), Ok(()));
    check("http://localhost:3000/", Err("local_name"), Ok(()));
    check("http://LOCALHOST./", Err("local_name"), Ok(()));
    check("http://a.localhost/", Err("local_name"), Ok(()));
    check("http://printer.local/", Err("local_name"), Ok(()));
    check("http://metadata.google.internal/", Err("local_name"), Ok(()));
    check("http://nas.home.arpa/", Err("local_name"), Ok(()));
    check("http://kubernetes.default.svc/", Err("local_name"), Ok(()));
    check("http://db.prod.svc.cluster.local/", Err("local_name"), Ok(()));
    check("http://127.0.0.1:3000/", Err("loopback"), Ok(()));
    check("http://0x7f.1/", Err("loopback"), Ok(()));
    check("http://[::1]/", Err("loopback"), Ok(()));
    check("http://192.168.1.5:8123/", Err("private"), Ok(()));
    check("http://[fd12::1]/", Err("unique_local"), Ok(()));
    check("http://169.254.169.254/latest/meta-data", Err("metadata"), Err("metadata"));
    check("http://[fd00:ec2::254]/", Err("metadata"), Err("metadata"));
    check("http://169.254.1.1/", Err("link_local"), Err("link_local"));
    check("http://0.0.0.0:3000/", Err("this_network"), Err("this_network"));
    check("http://[::]/", Err("this_network"), Err("this_network"));
    check("http://[::ffff:1.1.1.1]/", Err("ipv4_mapped"), Err("ipv4_mapped"));
    check("http://[::ffff:127.0.0.1]/", Err("ipv4_mapped"), Err("ipv4_mapped"));
    check("http://[64:ff9b::1.1.1.1]/", Ok(()), Ok(()));
    check("http://[64:ff9b::169.254.169.254]/", Err("metadata"), Err("metadata"));
    check("http://[64:ff9b:1::1.1.1.1]/", Err("nat64"), Err("nat64"));
    check("http://[2606:4700::5efe:127.0.0.1]/", Err("isatap"), Err("isatap"));
    check("http://user@example.com/", Err("userinfo"), Err("userinfo"));
    check("http://:pass@example.com/", Err("userinfo"), Err("userinfo"));
    check("http://example.com:0/", Err("port_zero"), Err("port_zero"));
    check("ftp://example.com/", Err("scheme"), Err("scheme"));
    check("file:///etc/passwd", Err("scheme"), Err("scheme"));
    check("http://a..example/", Err("host"), Err("host"));
}

#[test]
fn a_declared_nat64_prefix_is_decoded() {
    let policy = Policy { nat64: vec!["2001:db8:64::/96".parse().unwrap()], ..Policy::default() };
    assert_eq!(judge(&policy, "http://[2001:db8:64::1.1.1.1]/", Trust::Strict), Ok(()));
    assert_eq!(judge(&policy, "http://[2001:db8:64::10.0.0.1]/", Trust::Strict), Err("private"));
    assert_eq!(judge(&policy, "http://[2001:db8:65::1.1.1.1]/", Trust::Strict), Err("documentation"));
}

#[test]
fn strangers_cannot_make_hookyard_call_itself() {
    fn check(listener: &str, allow: &[&str], url: &str, verdict: Result<(), &'static str>) {
        let own_names = vec![("hooks.example".to_owned(), 443)];
        let policy = Policy { own_listeners: vec![listener.parse().unwrap()], own_names, ..policy(allow) };
        assert_eq!(judge(&policy, url, Trust::Strict), verdict, "{url}, listening on {listener}, allowing {allow:?}");
        assert_eq!(judge(&policy, url, Trust::Operator), Ok(()), "{url}, from the operator");
    }
    let lan = &["127.0.0.0/8", "192.168.0.0/16"];
    check("127.0.0.1:8080", lan, "http://127.0.0.1:8080/", Err("own_listener"));
    check("127.0.0.1:8080", lan, "http://127.0.0.1:8081/", Ok(()));
    check("127.0.0.1:8080", lan, "http://192.168.1.2:8080/", Ok(()));
    check("0.0.0.0:8080", lan, "http://127.0.0.9:8080/", Err("own_listener"));
    check("[::]:8080", lan, "http://127.0.0.1:8080/", Err("own_listener"));
    check("192.168.1.2:8080", lan, "http://192.168.1.2:8080/", Err("own_listener"));
    check("1.2.3.4:443", &[], "https://1.2.3.4/", Err("own_listener"));
    check("127.0.0.1:8080", &["127.0.0.1:8080"], "http://127.0.0.1:8080/", Ok(()));
    check("127.0.0.1:8080", &[], "https://hooks.example/in/github", Err("own_listener"));
    check("127.0.0.1:8080", &[], "https://hooks.example:8443/", Ok(()));
    check("127.0.0.1:8080", &["hooks.example:443"], "https://hooks.example/", Ok(()));
}

#[test]
fn a_refusal_says_why_and_which_line_would_help() {
    fn check(url: &str, why: &str, hint: Option<&str>) {
        let refusal = Policy::default().judge_url(&Url::parse(url).unwrap(), Trust::Strict).expect_err(url);
        let BlockedBy { why: told, hint: given, .. } = refusal.into();
        assert_eq!((told.as_str(), given.as_deref()), (why, hint), "{url}");
        let Some(hint) = hint else { return };
        let entry = hint.strip_prefix("egress.allow = [\"").and_then(|rest| rest.strip_suffix("\"]")).expect(hint);
        assert_eq!(judge(&policy(&[entry]), url, Trust::Strict), Ok(()), "{hint} lets {url} through");
    }
    check(
        "http://192.168.1.5:8123/api/webhook",
        "`192.168.1.5` is a private address, and webhooks go to public addresses only",
        Some("egress.allow = [\"192.168.1.5:8123\"]"),
    );
    check(
        "https://[fd12::1]/",
        "`fd12::1` is a private address, and webhooks go to public addresses only",
        Some("egress.allow = [\"[fd12::1]:443\"]"),
    );
    check(
        "http://198.18.0.1/",
        "`198.18.0.1` is an address for benchmarks, and webhooks go to public addresses only",
        Some("egress.allow = [\"198.18.0.1:80\"]"),
    );
    check(
        "http://[64:ff9b::10.0.0.1]/",
        "`10.0.0.1` is a private address, and webhooks go to public addresses only",
        Some("egress.allow = [\"10.0.0.1:80\"]"),
    );
    check(
        "http://localhost:3000/",
        "`localhost` is a name of a local network, and webhooks go to public names only",
        Some("egress.allow = [\"localhost:3000\"]"),
    );
    check(
        "http://crm:8080/",
        "`crm` has no dot, and webhooks go to public names only",
        Some("egress.allow = [\"crm:8080\"]"),
    );
    check(
        "http://169.254.169.254/",
        "`169.254.169.254` is a cloud's metadata address, and webhooks go to public addresses only",
        None,
    );
    check(
        "http://0.0.0.0/",
        "`0.0.0.0` is an address of this host only, and webhooks go to public addresses only",
        None,
    );
    check("ftp://example.com/", "the URL is neither `http` nor `https`", None);
}

/// What the guard says to a stranger's URL that holds `host`.
fn verdict(host: &str) -> Result<(), &'static str> {
    judge(&Policy::default(), &format!("http://{host}/"), Trust::Strict)
}

/// IPv4 addresses, those beside the edges of ranges more often than chance would.
fn any_ipv4() -> impl Strategy<Value = Ipv4Addr> {
    let edges: Vec<u32> = RANGES
        .iter()
        .flat_map(|range| [range.net.network(), range.net.broadcast()])
        .filter_map(|ip| match ip {
            IpAddr::V4(ip) => Some(ip.to_bits()),
            IpAddr::V6(_) => None,
        })
        .flat_map(|bits| [bits.wrapping_sub(1), bits, bits.wrapping_add(1)])
        .collect();
    prop_oneof![any::<u32>(), proptest::sample::select(edges)].prop_map(Ipv4Addr::from_bits)
}

fn carrying(prefix: [u16; 6], ip: Ipv4Addr) -> Ipv6Addr {
    let prefix = prefix.iter().fold(0_u128, |bits, segment| bits << 16 | u128::from(*segment));
    Ipv6Addr::from_bits(prefix << 32 | u128::from(ip.to_bits()))
}

proptest! {
    #[test]
    fn every_spelling_of_an_ipv4_address_gets_its_verdict(ip in any_ipv4()) {
        let plain = verdict(&ip.to_string());
        let [a, b, c, d] = ip.octets();
        let bits = ip.to_bits();
        let (low_24, low_16) = (bits & 0x00ff_ffff, bits & 0xffff);
        for spelling in [
            format!("{bits}"),
            format!("0x{bits:x}"),
            format!("0X{bits:X}"),
            format!("0{bits:o}"),
            format!("{a}.{low_24}"),
            format!("{a}.{b}.{low_16}"),
            format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
            format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
            format!("{a}.0x{b:x}.0{c:o}.{d}"),
            format!("{ip}."),
            format!("%3{}{}", &ip.to_string()[..1], &ip.to_string()[1..]),
            ip.to_string().chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).expect("full width")).collect(),
            ip.to_string().replace('.', "\u{3002}"),
        ] {
            prop_assert_eq!(verdict(&spelling), plain, "{}", spelling);
        }
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_one_gets_its_verdict_or_is_refused(ip in any_ipv4(), site in any::<[u16; 4]>()) {
        let plain = verdict(&ip.to_string());
        prop_assert_eq!(verdict(&format!("[{}]", carrying([0x64, 0xff9b, 0, 0, 0, 0], ip))), plain, "NAT64");

        let [.., high, low] = carrying([0; 6], ip).segments();
        let [p, q, r, s] = site;
        // Below 2000::/3, or the address is refused for another reason.
        let global = 0x2000 | p & 0x1fff;
        for (carrier, address) in [
            ("mapped", carrying([0, 0, 0, 0, 0, 0xffff], ip)),
            ("compatible", carrying([0; 6], ip)),
            ("translated", carrying([0, 0, 0, 0, 0xffff, 0], ip)),
            ("6to4", Ipv6Addr::new(0x2002, high, low, p, q, r, s, 1)),
            ("Teredo", Ipv6Addr::new(0x2001, 0, p, q, 0, r, !high, !low)),
            ("ISATAP", carrying([global, q, r, s, 0, 0x5efe], ip)),
            ("ISATAP", carrying([global, q, r, s, 0x200, 0x5efe], ip)),
            ("local ISATAP", carrying([0xfe80, 0, 0, 0, 0, 0x5efe], ip)),
            ("undeclared NAT64", carrying([0x64, 0xff9b, 1, p, q, r], ip)),
        ] {
            prop_assert!(verdict(&format!("[{address}]")).is_err(), "{} {}", carrier, address);
            let policy = policy(&["::/0", "0.0.0.0/0"]);
            let through = policy.judge_address(address.into(), 80, Standing::Named);
            prop_assert!(through.is_err() || address.is_loopback(), "{} {} under a wide entry", carrier, address);
        }
    }

    #[test]
    fn no_text_makes_the_guard_panic(text in "\\PC{0,60}") {
        for url in [text.clone(), format!("http://{text}/"), format!("https://u:p@{text}:1/")] {
            let _ = hookyard_egress::check_url(&url);
            let Ok(url) = Url::parse(&url) else { continue };
            if let Ok(destination) = Policy::default().judge_url(&url, Trust::Strict)
                && let Host::Name(name) = &destination.host
            {
                prop_assert!(name.contains('.') && !name.ends_with('.'), "{}", name);
            }
        }
        let _ = text.parse::<hookyard_egress::Allow>();
        let _ = text.parse::<hookyard_egress::Nat64Prefix>();
    }
}
