//! [`Questions`]: the values that benches ask a log of generated events for, chosen from its [`Census`] by how often they occur.

use crate::census::{Census, Tally, text_counts};
use crate::corpus::Corpus;
use crate::error::CorpusError;
use crate::parameters::Parameters;

/// A rare user has about so many events, however large the log is.
const RARE_EVENTS: u64 = 60;
/// What is read page by page has at least so many events, if anything has.
const PAGED_EVENTS: u64 = 1_000;
/// Of so many events one is the usual user's.
const USUAL_ONE_IN: u64 = 1_000;
/// Three dimensions together select about so many of a million events.
const TRIPLE_EVENTS_IN_MILLION: u64 = 23_444;
/// A part of a nested value is found in about so many events.
const PART_EVENTS: u64 = 100;
/// So many characters of a value are asked for.
const PART_CHARACTERS: usize = 7;

/// What two thirds of the events of the real corpus have somewhere, most of them in their user agent, others in a name or an ARN.
const FREQUENT_TEXT: &str = "stratus-red-team";
/// So many characters of it are asked for: the first are `stratus`.
const TEXT_CHARACTERS: usize = 7;

/// A value to ask for, and the events that have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The value.
    pub value: String,
    /// The events.
    pub tally: Tally,
}

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// An event id.
    pub id: String,
    /// A user with few events.
    pub rare_user: Asked,
    /// The user with the fewest events that are enough for many pages: the more events there are, the farther apart are theirs.
    pub paged_user: Asked,
    /// A user of every thousandth event, whose events are as far apart in a log of any size.
    pub usual_user: Asked,
    /// The most frequent event name.
    pub frequent_name: Asked,
    /// The most frequent service.
    pub service: Asked,
    /// Service, region and `read_only`.
    pub triple: [String; 3],
    /// The events with these three.
    pub triple_tally: Tally,
    /// A part of some values of `requestParameters.bucketName`.
    pub part: Asked,
    /// Texts that stand somewhere in most events, `stratus` first; each with the number of these events.
    pub texts: Vec<(String, u64)>,
    /// Texts that stand somewhere in few events: the rare user, and that without its first letter.
    pub rare_texts: Vec<(String, u64)>,
}

impl Questions {
    /// Chooses; the same for the same events.
    ///
    /// # Errors
    /// When the parameters are out of their limits, or the events are so few that there is nothing to ask.
    pub fn choose(corpus: &Corpus, parameters: &Parameters, census: &Census) -> Result<Questions, CorpusError> {
        let few = || CorpusError::new("there are too few events to ask anything");
        let asked = |found: Option<(&String, &Tally)>| found.map(|(v, t)| Asked { value: v.clone(), tally: *t }).ok_or_else(few);
        let wanted = parameters.events * TRIPLE_EVENTS_IN_MILLION / 1_000_000;
        let triple = census.triples.iter().min_by_key(|(_, t)| t.count.abs_diff(wanted)).ok_or_else(few)?;
        let rare_user = asked(nearest(census, RARE_EVENTS))?;
        let enough = census.users.iter().filter(|(name, t)| plain(name) && t.count >= PAGED_EVENTS).min_by_key(|(_, t)| t.count);
        let most = || census.users.iter().max_by_key(|(_, t)| t.count);
        let rare = [rare_user.value.clone(), rare_user.value.get(1..).unwrap_or_default().to_owned()];
        let parts = FREQUENT_TEXT.as_bytes().windows(TEXT_CHARACTERS).map(|part| String::from_utf8_lossy(part).into_owned());
        let mut texts: Vec<String> = rare.iter().cloned().chain(parts).collect();
        let counts = text_counts(corpus, parameters, &texts)?;
        let frequent = texts.split_off(rare.len());
        Ok(Questions {
            id: census.middle_id.clone(),
            rare_user,
            paged_user: asked(enough.or_else(most))?,
            usual_user: asked(nearest(census, parameters.events / USUAL_ONE_IN))?,
            frequent_name: asked(census.event_names.iter().max_by_key(|(_, t)| t.count))?,
            service: asked(census.services.iter().max_by_key(|(_, t)| t.count))?,
            triple: triple.0.clone(),
            triple_tally: *triple.1,
            part: part(census).ok_or_else(few)?,
            texts: frequent.into_iter().zip(counts.iter().copied().skip(rare.len())).collect(),
            rare_texts: texts.into_iter().zip(counts.iter().copied()).collect(),
        })
    }
}

fn nearest(census: &Census, wanted: u64) -> Option<(&String, &Tally)> {
    census.users.iter().filter(|(name, _)| plain(name)).min_by_key(|(_, tally)| tally.count.abs_diff(wanted))
}

/// Whether a text means itself in a query and in JSON.
fn plain(text: &str) -> bool {
    text.len() > 5 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
}

/// The end of a bucket's name, and the events of all buckets that have it in their names.
fn part(census: &Census) -> Option<Asked> {
    let named = census.buckets.iter().filter(|(name, _)| plain(name) && name.len() > PART_CHARACTERS);
    let (name, _) = named.min_by_key(|(_, tally)| tally.count.abs_diff(PART_EVENTS))?;
    let value = name.get(name.len() - PART_CHARACTERS..)?.to_owned();
    let having = || census.buckets.iter().filter(|(name, _)| name.contains(&value)).map(|(_, tally)| tally);
    let tally = Tally { count: having().map(|t| t.count).sum(), newest: having().map(|t| t.newest).max()? };
    Some(Asked { value, tally })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_has_an_answer() {
        let corpus = Corpus::real().unwrap();
        let parameters = Parameters { events: 3_000, ..Parameters::default() };
        let census = Census::take(&corpus, &parameters).unwrap();
        let asked = Questions::choose(&corpus, &parameters, &census).unwrap();
        for found in [&asked.rare_user, &asked.paged_user, &asked.frequent_name, &asked.service, &asked.part] {
            assert!(found.tally.count > 0 && !found.value.is_empty(), "{found:?}");
        }
        assert!(asked.paged_user.tally.count > asked.rare_user.tally.count, "{asked:?}");
        assert!(asked.rare_texts[0].1 >= asked.rare_user.tally.count && asked.triple_tally.count > 0, "{asked:?}");
        assert_eq!((asked.rare_texts.len(), asked.texts.len(), asked.texts[0].0.as_str()), (2, 10, "stratus"));
        assert!(asked.texts.iter().all(|(_, count)| (1_500..2_500).contains(count)), "{asked:?}");
        assert_eq!(asked, Questions::choose(&corpus, &parameters, &census).unwrap());
    }
}
