//! What differs between two snapshots, by identity: the way to do work for what changed alone.
//!
//! A part that did not change is the same `Arc` in both, so a walk over two sorted maps compares
//! pointers and never looks into a Service. Invariants: pure; a Service that is equal but another
//! `Arc` counts as changed, which costs work and is never wrong.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::ObjectName;
use crate::snapshot::{Service, Snapshot};

/// One Service that is not the same in both snapshots.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// Only in the newer one.
    Added(&'a Arc<Service>),
    /// Only in the older one.
    Removed(&'a Arc<Service>),
    /// In both: the older, then the newer.
    Changed(&'a Arc<Service>, &'a Arc<Service>),
}

impl<'a> Change<'a> {
    /// Whose it is.
    pub fn name(&self) -> &'a ObjectName {
        match self {
            Self::Added(service) | Self::Removed(service) | Self::Changed(_, service) => {
                &service.name
            }
        }
    }
}

/// Every Service that came, left or changed, in the order of names.
pub fn services<'a>(old: &'a Snapshot, new: &'a Snapshot) -> impl Iterator<Item = Change<'a>> {
    changes(&old.services, &new.services)
}

fn changes<'a>(
    old: &'a BTreeMap<ObjectName, Arc<Service>>,
    new: &'a BTreeMap<ObjectName, Arc<Service>>,
) -> impl Iterator<Item = Change<'a>> {
    let mut old = old.iter().peekable();
    let mut new = new.iter().peekable();
    std::iter::from_fn(move || {
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                // The names of a Service that stays are mostly the very same text.
                (Some((_, before)), Some((_, after))) if Arc::ptr_eq(before, after) => {
                    old.next();
                    new.next();
                    continue;
                }
                (Some((before, _)), Some((after, _))) => before.cmp(after),
            };
            return match order {
                Ordering::Less => old.next().map(|(_, service)| Change::Removed(service)),
                Ordering::Greater => new.next().map(|(_, service)| Change::Added(service)),
                Ordering::Equal => {
                    let (before, after) = (old.next()?.1, new.next()?.1);
                    Some(Change::Changed(before, after))
                }
            };
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Reach;

    fn map(names: &[(&str, &Arc<Service>)]) -> BTreeMap<ObjectName, Arc<Service>> {
        let entry = |(name, service): &(&str, &Arc<Service>)| {
            (ObjectName::new("default", *name), Arc::clone(service))
        };
        names.iter().map(entry).collect()
    }

    fn service(name: &str) -> Arc<Service> {
        Arc::new(Service {
            name: ObjectName::new("default", name),
            reach: Reach::Headless,
            has_selector: false,
            is_nameless: false,
            ports: Vec::new(),
            addresses: Vec::new(),
            traffic: Arc::default(),
        })
    }

    #[test]
    fn what_is_the_same_arc_is_passed_over() {
        let [a, b, c, d, other_b] = ["a", "b", "c", "d", "b"].map(service);
        for (case, old, new, want) in [
            ("nothing", map(&[("a", &a)]), map(&[("a", &a)]), ""),
            ("first", map(&[]), map(&[("a", &a), ("b", &b)]), "+a +b"),
            ("last", map(&[("a", &a), ("b", &b)]), map(&[]), "-a -b"),
            (
                "all at once",
                map(&[("a", &a), ("b", &b), ("c", &c)]),
                map(&[("b", &other_b), ("c", &c), ("d", &d)]),
                "-a ~b +d",
            ),
        ] {
            let found: Vec<String> = changes(&old, &new)
                .map(|change| {
                    let sign = match change {
                        Change::Added(_) => '+',
                        Change::Removed(_) => '-',
                        Change::Changed(..) => '~',
                    };
                    format!("{sign}{}", change.name().name)
                })
                .collect();
            assert_eq!(found.join(" "), want, "{case}");
        }
    }
}
