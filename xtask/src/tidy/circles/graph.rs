//! Circles in a graph: the strongly connected components, by Tarjan's algorithm, and a short way round in each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Where edges lead.
pub(super) type Graph = BTreeMap<usize, BTreeSet<usize>>;

/// The sets of nodes of which each reaches each, with more than one node; in order.
pub(super) fn circles(graph: &Graph) -> Vec<BTreeSet<usize>> {
    let mut search = Search { graph, order: BTreeMap::new(), stack: vec![], found: vec![] };
    for node in graph.keys() {
        if !search.order.contains_key(node) {
            search.visit(*node);
        }
    }
    search.found.sort();
    search.found
}

struct Search<'g> {
    graph: &'g Graph,
    /// When a node was reached; [`DONE`] once its component is known.
    order: BTreeMap<usize, usize>,
    stack: Vec<usize>,
    found: Vec<BTreeSet<usize>>,
}

/// Later than every other node.
const DONE: usize = usize::MAX;

impl Search<'_> {
    /// The earliest node of the stack that is reached from `node`.
    fn visit(&mut self, node: usize) -> usize {
        let own = self.order.len();
        self.order.insert(node, own);
        self.stack.push(node);
        let mut earliest = own;
        for next in self.graph.get(&node).into_iter().flatten() {
            let reached = match self.order.get(next) {
                Some(order) => *order,
                None => self.visit(*next),
            };
            earliest = earliest.min(reached);
        }
        if earliest == own {
            let from = self.stack.iter().rposition(|on_stack| *on_stack == node).unwrap_or(0);
            let component: BTreeSet<usize> = self.stack.drain(from..).collect();
            component.iter().for_each(|node| _ = self.order.insert(*node, DONE));
            if component.len() > 1 {
                self.found.push(component);
            }
            return DONE;
        }
        earliest
    }
}

/// A shortest way from the first node of a circle back to it, without that node at the end.
pub(super) fn way_round(graph: &Graph, circle: &BTreeSet<usize>) -> Vec<usize> {
    let Some(start) = circle.first() else { return vec![] };
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut queue = VecDeque::from([*start]);
    while let Some(node) = queue.pop_front() {
        for next in graph.get(&node).into_iter().flatten().filter(|next| circle.contains(next)) {
            if next == start {
                let mut way = vec![node];
                while let Some(before) = way.last().and_then(|node| came_from.get(node)) {
                    way.push(*before);
                }
                way.reverse();
                return way;
            }
            if !came_from.contains_key(next) {
                came_from.insert(*next, node);
                queue.push_back(*next);
            }
        }
    }
    vec![]
}
