//! Passwords as `accounts` meets them.

use std::time::Instant;

use super::*;

fn passwords() -> Passwords {
    Passwords::new(&Settings::default()).expect("passwords")
}

fn password(text: &str) -> Password {
    Password::new(text).expect("not too long")
}

fn email() -> Email {
    "alice.liddell@example.com".parse().expect("an address")
}

// SEC-L1
#[tokio::test]
async fn a_hash_is_argon2id_with_a_salt_of_its_own_and_verifies() {
    let passwords = passwords();
    let (one, other) =
        (passwords.hash(&password("rabbit-hole-7")).await, passwords.hash(&password("rabbit-hole-7")).await);
    let one = one.expect("a hash");
    assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
    assert_ne!(Ok(one.clone()), other);
    assert_eq!(passwords.verify(&password("rabbit-hole-7"), Some(&one)).await, Ok(Verdict::Right));
    assert_eq!(passwords.verify(&password("Rabbit-hole-7"), Some(&one)).await, Ok(Verdict::Wrong));
    assert_eq!(passwords.verify(&password("rabbit-hole-7"), None).await, Ok(Verdict::Wrong));
}

// SEC-L1
#[tokio::test]
async fn a_hash_of_lower_costs_is_replaced_at_login() {
    let weak = Settings { argon2: Argon2 { memory: Size(1 << 20), passes: 1 }, ..Settings::default() };
    let weak = Passwords::new(&weak).expect("passwords").hash(&password("rabbit-hole-7")).await.expect("a hash");
    let passwords = passwords();
    let verdict = passwords.verify(&password("rabbit-hole-7"), Some(&weak)).await.expect("a verdict");
    let Verdict::RightWith { stronger } = verdict else { panic!("{verdict:?}") };
    assert_eq!(passwords.verify(&password("rabbit-hole-7"), Some(&stronger)).await, Ok(Verdict::Right));
    assert_eq!(passwords.verify(&password("wrong"), Some(&weak)).await, Ok(Verdict::Wrong));
}

// SEC-L1
#[tokio::test]
async fn imported_bcrypt_hashes_verify_and_are_upgraded() {
    let passwords = passwords();
    let hash = bcrypt::hash("rabbit-hole-7", 4).expect("a hash");
    for version in ["2a", "2b", "2y"] {
        let kept = hash.replacen("2b", version, 1);
        let verdict = passwords.verify(&password("rabbit-hole-7"), Some(&kept)).await;
        assert!(matches!(verdict, Ok(Verdict::RightWith { .. })), "{version}: {verdict:?}");
        assert_eq!(passwords.verify(&password("rabbit-hole-8"), Some(&kept)).await, Ok(Verdict::Wrong));
    }
    for broken in
        ["$2b$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghijklm", "$2b$", "plain", "", "$argon2id$"]
    {
        assert!(passwords.verify(&password("x"), Some(broken)).await.is_err(), "{broken}");
    }
}

// SEC-L2: what bcrypt did not read of the password nobody knows, so it must not become the password.
#[tokio::test]
async fn what_bcrypt_does_not_read_is_not_taken_over() {
    let passwords = passwords();
    let long = "rabbit-hole-7 ".repeat(6);
    let kept = bcrypt::hash(&long, 4).expect("a hash");
    assert_eq!(passwords.verify(&password(&long), Some(&kept)).await, Ok(Verdict::Right));
    let kept = bcrypt::hash("rabbit-hole-7", 4).expect("a hash");
    for shown in ["rabbit-hole-7\0", "rabbit-hole-7\0rabbit-hole-7"] {
        assert_eq!(passwords.verify(&password(shown), Some(&kept)).await, Ok(Verdict::Wrong));
    }
}

// SEC-L2
#[test]
fn only_the_normal_form_of_a_password_is_touched() {
    let same = |left: &str, right: &str| password(left).expose() == password(right).expose();
    assert!(same("re\u{301}ne", "r\u{e9}ne"));
    assert!(!same(" a ", "a"));
    assert!(!same("A", "a"));
    assert!(!same("\u{ff41}", "a"));
    assert_eq!(Password::new(&"a".repeat(1025)).err(), Some(TooLong));
    assert!(Password::new(&"a".repeat(1024)).is_ok());
    assert_eq!(format!("{:?}", password("canary")), "Password(…)");
}

// SEC-L2, SEC-L3
#[test]
fn short_common_and_telling_passwords_are_refused() {
    let passwords = passwords();
    let judge = |text: &str| passwords.judge(&password(text), &email());
    for good in
        ["correct horse battery staple", "        x", "ふしぎの国のアリスと", "aaaaaaaaaaaaaaab", &"é".repeat(64)]
    {
        assert_eq!(judge(good), Ok(()), "{good}");
    }
    assert_eq!(judge("seven77"), Err(Unfit::Short(8)));
    assert_eq!(judge("ééééééé"), Err(Unfit::Short(8)), "characters are counted, not bytes");
    for common in ["password1", "PassWord1", "12345678", "qwertyuiop", "iloveyou1"] {
        assert_eq!(judge(common), Err(Unfit::Common), "{common}");
    }
    for telling in ["my-DoorWard-pw", "Alice.Liddell7", "alice.liddell@example.com"] {
        assert_eq!(judge(telling), Err(Unfit::Telling), "{telling}");
    }
}

// SEC-D4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_answered_at_once_and_no_more_wait_than_may() {
    let passwords = Arc::new(Passwords::new(&Settings { concurrency: 1, ..Settings::default() }).expect("passwords"));
    let tries = (0..500).map(|_| {
        let passwords = Arc::clone(&passwords);
        tokio::spawn(async move {
            let began = Instant::now();
            (passwords.verify(&password("x"), None).await, began.elapsed())
        })
    });
    let tries: Vec<_> = tries.collect();
    let (mut served, mut busy) = (0, 0);
    for answer in tries {
        match answer.await.expect("no panic").0 {
            Ok(verdict) => served += i32::from(verdict == Verdict::Wrong),
            Err(error) => busy += i32::from(error == PasswordError::Busy),
        }
    }
    assert_eq!(served + busy, 500);
    assert!((1..=100).contains(&served), "{served} hashed, {busy} refused");
    assert_eq!(passwords.verify(&password("x"), None).await, Ok(Verdict::Wrong), "the pool goes on");
}

#[tokio::test]
async fn a_panic_ends_a_job_and_not_the_pool() {
    let pool = Pool::start(1).expect("a thread");
    assert_eq!(pool.run(|| panic!("told")).await, Err::<(), _>(Busy));
    assert_eq!(pool.run(|| 1).await, Ok(1));
}
