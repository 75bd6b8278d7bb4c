//! Who acts and on what: users with their keys and addresses, and pools of resources. Nothing is stored for a member of a
//! population; its texts follow from the seed and its number, so that a population may be of any size.

use crate::random::{Random, mix};
use crate::text::{BASE32, digit, write_hex, write_uuid};

const FIRST: &str = "alice bob carol dave erin frank grace heidi ivan judy ken lena mike nina oscar peggy quinn rosa sam tina uma \
                     victor wendy xiao yan zoe wei fang jun lei min hao ying chen tao";
const LAST: &str = "wang li zhang liu chen yang huang zhao wu zhou xu sun ma zhu hu guo he lin gao luo smith jones brown miller davis \
                    garcia rodriguez wilson martin lee perez white harris clark lewis young king wright scott green baker adams nelson hill";
const NETWORKS: [u8; 16] = [3, 18, 34, 39, 47, 52, 54, 59, 101, 106, 110, 116, 120, 139, 182, 203];

/// How many addresses there are: 16 networks, 256 x 256 below them, 254 hosts.
pub(crate) const ADDRESSES_MAX: u64 = 16 * 256 * 256 * 254;
/// A prime above every population, so that multiplying by it permutes the numbers of one.
pub(crate) const USERS_MAX: u64 = 2_147_483_647;

/// Ranks by Zipf's law, by inverting the integral of its density: no table, for any size.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Zipf {
    /// Exponent 0.8: few very popular ones, a long tail. For resources.
    Flat { span: f64 },
    /// Exponent 1.05: for users.
    Steep { span: f64 },
}

impl Zipf {
    pub(crate) fn flat(size: u64) -> Zipf {
        Zipf::Flat { span: libm::pow(size.max(1) as f64 + 1.0, 0.2) - 1.0 }
    }

    pub(crate) fn steep(size: u64) -> Zipf {
        Zipf::Steep { span: 1.0 - libm::pow(size.max(1) as f64 + 1.0, -0.05) }
    }

    /// The rank, from 0, that a number in `[0, 1)` stands for; below the size but for rounding.
    #[inline]
    pub(crate) fn rank(self, unit: f64) -> u64 {
        let x = match self {
            Zipf::Flat { span } => {
                let x = 1.0 + unit * span;
                x * x * x * x * x
            }
            Zipf::Steep { span } => {
                let x = 1.0 / (1.0 - unit * span);
                let fifth = x * x * x * x * x;
                fifth * fifth * fifth * fifth
            }
        };
        (x as u64).saturating_sub(1)
    }
}

/// Somebody during a session: the texts that events take over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Actor {
    pub(crate) name: Vec<u8>,
    /// 16 characters of base32, without the prefix that tells kinds of keys apart.
    pub(crate) key: Vec<u8>,
    pub(crate) address: Vec<u8>,
    /// 17 characters of base32.
    pub(crate) letters: Vec<u8>,
    /// 16 digits.
    pub(crate) digits: Vec<u8>,
}

/// Users, each with keys and addresses of their own.
#[derive(Debug, Clone)]
pub(crate) struct Users {
    users: u64,
    keys: u64,
    addresses: u64,
    seed: u64,
    zipf: Zipf,
    first: Vec<&'static str>,
    last: Vec<&'static str>,
}

impl Users {
    pub(crate) fn new(users: u64, keys: u64, addresses: u64, seed: u64) -> Users {
        let (first, last) = (FIRST.split_whitespace().collect(), LAST.split_whitespace().collect());
        Users { users, keys, addresses, seed: mix(seed ^ 0x75_7365_7273), zipf: Zipf::steep(users), first, last }
    }

    /// Draws a user, one of its keys (mostly the first) and one of its addresses (mostly the first few).
    pub(crate) fn draw(&self, random: &mut Random, actor: &mut Actor) {
        let user = self.zipf.rank(random.unit()).min(self.users.saturating_sub(1));
        actor.name.clear();
        self.write_name(user, &mut actor.name);
        self.draw_key(user, random, &mut actor.key);
        self.draw_address(user, random, &mut actor.address);
        let own = mix(self.seed ^ mix(user ^ 0xa5a5));
        actor.letters.clear();
        write_base32(&mut actor.letters, own, mix(own), 17);
        actor.digits.clear();
        actor.digits.extend_from_slice(format!("{:016}", mix(own ^ 1) % 10_000_000_000_000_000).as_bytes());
    }

    /// All names are different: the number's remainders choose first and last name, the rest of it is appended.
    fn write_name(&self, user: u64, out: &mut Vec<u8>) {
        let number = (user * USERS_MAX + self.seed % self.users.max(1)) % self.users.max(1);
        let (firsts, lasts) = (self.first.len().max(1) as u64, self.last.len().max(1) as u64);
        let (at, above) = (number % firsts, number / firsts);
        let first = self.first.get(at as usize).copied().unwrap_or("ann");
        let last = self.last.get(((above + 7 * at) % lasts) as usize).copied().unwrap_or("li");
        out.extend_from_slice(first.as_bytes());
        out.push(b'.');
        out.extend_from_slice(last.as_bytes());
        if above >= lasts {
            out.extend_from_slice((above / lasts).to_string().as_bytes());
        }
    }

    fn draw_key(&self, user: u64, random: &mut Random, out: &mut Vec<u8>) {
        let scale = |user: u64| (u128::from(user) * u128::from(self.keys) / u128::from(self.users.max(1))) as u64;
        let (from, to) = (scale(user), scale(user + 1));
        let chosen = if random.unit() < 0.6 { from } else { from + random.below(to.saturating_sub(from).max(1)) };
        let number = mix(self.seed ^ mix(chosen.wrapping_add(0x6b65_7900_0000)));
        out.clear();
        write_base32(out, number, mix(number), 16);
    }

    fn draw_address(&self, user: u64, random: &mut Random, out: &mut Vec<u8>) {
        let own = (self.addresses / self.users.max(1)).max(1);
        // Zipf with exponent 1 over the user's own.
        let rank = (libm::pow(own as f64 + 1.0, random.unit()) as u64).saturating_sub(1).min(own - 1);
        let number = (user * own + rank) % self.addresses.max(1);
        // 179,424,673 is a prime that does not divide the number of addresses: different numbers, different addresses.
        let mut at = (number * 179_424_673 + self.seed % ADDRESSES_MAX) % ADDRESSES_MAX;
        let mut part = |count: u64| {
            let part = at % count;
            at /= count;
            part
        };
        let (network, host, c, b) = (digit(&NETWORKS, part(16) as usize), 1 + part(254), part(256), part(256));
        out.clear();
        out.extend_from_slice(format!("{network}.{b}.{c}.{host}").as_bytes());
    }
}

fn write_base32(out: &mut Vec<u8>, high: u64, low: u64, length: usize) {
    for i in 0..length {
        let bits = if i < 12 { high >> (5 * i) } else { low >> (5 * (i - 12)) };
        out.push(digit(BASE32, bits as usize));
    }
}

/// What the members of a pool of resources look like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PoolKind {
    /// `i-0abc...`: a prefix with its dash, and so many hex digits.
    Id(String, usize),
    /// A UUID, such as that of a KMS key.
    Uuid,
    /// A name: the old one (which the template keeps) and five hex digits.
    Name(String),
}

/// One kind of resource.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    kind: PoolKind,
    size: u64,
    zipf: Zipf,
    seed: u64,
}

impl Pool {
    pub(crate) fn new(kind: PoolKind, size: u64, seed: u64) -> Pool {
        Pool { kind, size: size.max(1), zipf: Zipf::flat(size), seed: mix(seed) }
    }

    /// Writes the member that a number in `[0, 1)` stands for.
    #[inline]
    pub(crate) fn write(&self, unit: f64, out: &mut Vec<u8>) {
        let rank = self.zipf.rank(unit).min(self.size - 1);
        let number = mix(self.seed ^ mix(rank));
        match &self.kind {
            PoolKind::Id(prefix, digits) => {
                out.extend_from_slice(prefix.as_bytes());
                write_hex(out, mix(number), digits.saturating_sub(16));
                write_hex(out, number, *digits);
            }
            PoolKind::Uuid => write_uuid(out, number, mix(number)),
            PoolKind::Name(_) => write_hex(out, rank * 7_919 % 0xf_ffff, 5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn zipf_stays_in_range_and_favours_the_first() {
        for size in [1, 3, 1_000, 200_000] {
            for (zipf, low, high) in [(Zipf::flat(size), 0.0, 1.0), (Zipf::steep(size), 0.0, 1.0)] {
                let mut random = Random::new(11);
                let ranks: Vec<u64> = (0..20_000).map(|_| zipf.rank(random.unit())).collect();
                assert!(ranks.iter().all(|&r| r <= size), "{size}");
                let first = ranks.iter().filter(|&&r| r == 0).count() as f64 / 20_000.0;
                assert!(first > low && first <= high);
                assert!(first >= ranks.iter().filter(|&&r| r == 1).count() as f64 / 20_000.0 - 0.01, "{size}");
            }
        }
    }

    #[test]
    fn users_differ_in_name_and_address() {
        let users = Users::new(5_000, 12_000, 20_000, 9);
        let mut names = HashSet::new();
        let mut addresses = HashSet::new();
        let mut random = Random::new(1);
        for user in 0..5_000 {
            let (mut name, mut address) = (Vec::new(), Vec::new());
            users.write_name(user, &mut name);
            users.draw_address(user, &mut random, &mut address);
            assert!(String::from_utf8(address.clone()).unwrap().parse::<std::net::Ipv4Addr>().is_ok());
            assert!(addresses.insert(address), "user {user} shares an address");
            assert!(names.insert(name.clone()), "{}", String::from_utf8_lossy(&name));
        }
    }

    #[test]
    fn an_actor_keeps_its_texts() {
        let users = Users::new(1, 1, 1, 4);
        let (mut a, mut b) = (Actor::default(), Actor::default());
        let mut random = Random::new(2);
        users.draw(&mut random, &mut a);
        users.draw(&mut random, &mut b);
        assert_eq!((&a.name, &a.key, &a.address, &a.letters, &a.digits), (&b.name, &b.key, &b.address, &b.letters, &b.digits));
        assert_eq!((a.key.len(), a.letters.len(), a.digits.len()), (16, 17, 16));
    }

    #[test]
    fn pools_write_their_form() {
        let mut out = Vec::new();
        Pool::new(PoolKind::Id("i-".into(), 17), 10, 1).write(0.5, &mut out);
        assert!(out.len() == 19 && out.starts_with(b"i-"));
        out.clear();
        Pool::new(PoolKind::Uuid, 10, 1).write(0.5, &mut out);
        assert_eq!(out.len(), 36);
        out.clear();
        Pool::new(PoolKind::Name("bucket".into()), 10, 1).write(0.999, &mut out);
        assert_eq!(out.len(), 5);
    }
}
