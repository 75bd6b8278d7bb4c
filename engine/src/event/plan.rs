//! [`TermPlan`]: for one shape, which leaves give an event its id, its time and its terms.
//!
//! Most dimensions take the values of some leaves as they are. Their part of the plan lies in one piece of memory that is read from its start to
//! its end ([`Step`]); from box to box it would be several cache lines for each dimension of each event.

use std::ops::Range;

use super::outline::Outline;
use super::path::Path;
use super::schema::{DimensionKind, DimensionSchema, EVENT_ID, EventKind, Mapping, Pick, Source, Take};

/// How the id, the time and the terms of the events of one shape are found. Leaves are named by their place in the shape.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TermPlan {
    /// Leaves that may hold the event's id, by priority.
    pub(crate) id_leaves: Box<[u32]>,
    /// Leaves that may hold the event's time, by priority.
    pub(crate) time_leaves: Box<[u32]>,
    /// The ordinal of the dimension that holds event ids.
    pub(crate) id_dimension: Option<u16>,
    /// What fills the other dimensions, in their order.
    pub(crate) steps: Box<[Step]>,
    /// The leaves of steps.
    leaves: Box<[u32]>,
    /// Dimensions that take more than leaves as they are.
    dimensions: Box<[DimensionPlan]>,
}

/// What fills one dimension.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The values of some leaves, as they are: of all, or of the first that has one.
    Leaves {
        dimension: u16,
        /// Whether the dimension's terms hardly recur.
        unique: bool,
        pick: Pick,
        /// Which, for [`TermPlan::leaves_of`].
        leaves: Range<u32>,
    },
    /// More than that, for [`TermPlan::dimension`].
    Dimension(u32),
}

/// What fills one dimension.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DimensionPlan {
    pub(crate) dimension: u16,
    /// Whether the dimension's terms hardly recur.
    pub(crate) unique: bool,
    pub(crate) pick: Pick,
    pub(crate) sources: Box<[SourcePlan]>,
}

/// One source of terms that this shape has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SourcePlan {
    /// The leaves to take values from.
    pub(crate) leaves: Box<[u32]>,
    /// Terms that every event of the shape has: the keys of an object.
    pub(crate) keys: Box<[String]>,
    pub(crate) take: Take,
    pub(crate) replace: Box<[(String, String)]>,
}

impl TermPlan {
    /// The plan for a shape: of the first kind that recognises it, or an empty one.
    pub(crate) fn new(schema: &DimensionSchema, outline: &Outline) -> TermPlan {
        let present = |path: &Path| outline.members.iter().any(|m| path.names(&m.steps));
        let Some(kind) = schema.kinds.iter().find(|k| k.recognise.iter().all(present)) else {
            return TermPlan::default();
        };
        let mut plan = TermPlan {
            id_leaves: by_priority(&kind.event_id, outline),
            time_leaves: by_priority(&kind.event_time, outline),
            id_dimension: schema.ordinal(EVENT_ID),
            ..TermPlan::default()
        };
        plan.lay_out(plan_dimensions(schema, kind, outline));
        plan
    }

    fn lay_out(&mut self, dimensions: Vec<DimensionPlan>) {
        let (mut steps, mut leaves, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for plan in dimensions {
            if !plan.takes_leaves_as_they_are() {
                steps.push(Step::Dimension(others.len() as u32));
                others.push(plan);
                continue;
            }
            let from = leaves.len() as u32;
            leaves.extend(plan.sources.iter().flat_map(|source| &source.leaves));
            let DimensionPlan { dimension, unique, pick, .. } = plan;
            steps.push(Step::Leaves { dimension, unique, pick, leaves: from..leaves.len() as u32 });
        }
        (self.steps, self.leaves, self.dimensions) = (steps.into(), leaves.into(), others.into());
    }

    /// The leaves of a step.
    pub(crate) fn leaves_of(&self, leaves: &Range<u32>) -> &[u32] {
        self.leaves.get(leaves.start as usize..leaves.end as usize).unwrap_or_default()
    }

    /// The dimension of a step.
    pub(crate) fn dimension(&self, number: u32) -> Option<&DimensionPlan> {
        self.dimensions.get(number as usize)
    }
}

impl DimensionPlan {
    /// Of a source with several leaves all are taken, also where the first source is picked.
    fn takes_leaves_as_they_are(&self) -> bool {
        self.sources.iter().all(|source| source.is_plain() && (self.pick != Pick::First || source.leaves.len() == 1))
    }
}

impl SourcePlan {
    /// Whether values are taken as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.take == Take::Value && self.replace.is_empty() && self.keys.is_empty()
    }
}

fn by_priority(paths: &[Path], outline: &Outline) -> Box<[u32]> {
    paths.iter().flat_map(|path| leaves_at(path, outline)).collect()
}

fn leaves_at<'a>(path: &'a Path, outline: &'a Outline) -> impl Iterator<Item = u32> + 'a {
    outline.slots.iter().zip(0u32..).filter(|(slot, _)| path.names(&slot.path.steps)).map(|(_, i)| i)
}

fn plan_dimensions(schema: &DimensionSchema, kind: &EventKind, outline: &Outline) -> Vec<DimensionPlan> {
    let plan = |mapping: &Mapping| {
        let sources: Box<[SourcePlan]> = mapping.sources.iter().filter_map(|s| plan_source(s, outline)).collect();
        let dimension = schema.ordinal(&mapping.dimension)?;
        let unique = schema.dimensions.get(usize::from(dimension)).is_some_and(|d| d.kind == DimensionKind::Unique);
        (!sources.is_empty()).then_some(DimensionPlan { dimension, unique, pick: mapping.pick, sources })
    };
    kind.mappings.iter().filter(|m| m.dimension != EVENT_ID).filter_map(plan).collect()
}

/// The plan of a source, if the shape has anything for it.
fn plan_source(source: &Source, outline: &Outline) -> Option<SourcePlan> {
    let takes_keys = source.take == Take::Keys;
    let leaves: Box<[u32]> = if takes_keys { Box::default() } else { leaves_at(&source.path, outline).collect() };
    let keys: Box<[String]> = if takes_keys { keys_at(&source.path, outline) } else { Box::default() };
    (!leaves.is_empty() || !keys.is_empty()).then(|| SourcePlan {
        leaves,
        keys,
        take: source.take.clone(),
        replace: source.replace.clone().into_boxed_slice(),
    })
}

fn keys_at(path: &Path, outline: &Outline) -> Box<[String]> {
    let children = outline.members.iter().filter(|m| m.steps.len() == path.steps.len() + 1 && path.covers(&m.steps));
    children
        .filter_map(|m| match m.steps.last() {
            Some(super::path::Step::Key(key)) if !key.is_empty() => Some(key.clone()),
            _ => None,
        })
        .collect()
}
