//! Making a workload by name and handing it, with its type, to who runs it.

use std::sync::Arc;

use manyhands_contract::{Catalogue, Code, Context, Erased, Handover, InputError, Map, Watcher};

/// What is done with a prepared workload, whatever its type.
pub(crate) trait Visitor {
    /// What comes of it.
    type Output;

    /// Receives the workload, what worker processes must know of it, and its lines for the
    /// fairness card.
    fn visit<M: Map>(
        self,
        work: M,
        handover: Handover,
        card: Vec<(&'static str, String)>,
    ) -> Self::Output;
}

/// Prepares the workload `name` and hands it to `visitor`.
///
/// Workloads whose tasks can be as short as the hand-over itself are instantiated in full; all
/// others go behind one indirect call per chunk, so that each executor is compiled three times
/// and not once per workload. So do those whose tasks a `watcher` sees.
///
/// # Errors
/// When the name is unknown or the input is wrong.
pub(crate) fn prepare<V: Visitor>(
    catalogue: &Catalogue,
    name: &str,
    context: &Context<'_>,
    watcher: Option<Arc<dyn Watcher>>,
    visitor: V,
) -> Result<V::Output, InputError> {
    let entry = catalogue.get(name).map_err(InputError)?;
    #[cfg(feature = "workloads")]
    if watcher.is_none() {
        use std::any::TypeId;

        use manyhands_contract::Workload;
        use manyhands_workloads::cpu::squares::Squares;
        use manyhands_workloads::overhead::spin::{Patterned, Spin};
        let is = (entry.type_id)();
        if is == TypeId::of::<Patterned>()
            && let Some(spin) = Spin::plain(context.parameters)
        {
            return Ok(visitor.visit(spin, Handover::new(), Vec::new()));
        }
        if is == TypeId::of::<Squares>() {
            return Ok(visit_in_full(Squares::prepare(context)?, visitor));
        }
    }
    let Code::Map { prepare, watched } = entry.code else {
        return Err(InputError(format!("{name} is no list of tasks; it runs by itself")));
    };
    let work: Erased = match watcher {
        None => prepare(context)?,
        Some(watcher) => watched(context, watcher)?,
    };
    let (handover, card) = (work.handover(), work.card());
    Ok(visitor.visit(work, handover, card))
}

#[cfg(feature = "workloads")]
fn visit_in_full<W: manyhands_contract::Workload, V: Visitor>(work: W, visitor: V) -> V::Output {
    let (handover, card) = (work.handover(), work.card());
    visitor.visit(work, handover, card)
}

#[cfg(all(test, feature = "workloads"))]
mod tests {
    use std::any::TypeId;
    use std::path::Path;

    use manyhands_contract::{Parameters, Storage};
    use manyhands_workloads::overhead::spin::{self, Spin};

    use super::*;

    struct TypeOf;

    impl Visitor for TypeOf {
        type Output = TypeId;

        fn visit<M: Map>(self, _: M, _: Handover, _: Vec<(&'static str, String)>) -> TypeId {
            TypeId::of::<M>()
        }
    }

    fn type_of_spin(changes: &[(&str, &str)]) -> TypeId {
        let parameters = Parameters::from_texts(&spin::DEFINITION, changes.iter().copied())
            .expect("allowed values");
        let context = Context {
            parameters: &parameters,
            seed: 0,
            input: &[],
            storage: &Storage::private(),
            helper: Path::new("unused"),
            handover: None,
        };
        prepare(&crate::catalogue(), "spin", &context, None, TypeOf).expect("spin has no input")
    }

    /// What the cost of a task is measured with has no pattern in its loop, and no indirection.
    #[test]
    fn spin_without_dependencies_runs_as_its_own_type_and_with_them_erased() {
        assert_eq!(type_of_spin(&[]), TypeId::of::<Spin>());
        assert_eq!(type_of_spin(&[("steps", "0")]), TypeId::of::<Spin>());
        assert_eq!(type_of_spin(&[("pattern", "stencil")]), TypeId::of::<Erased>());
        assert_eq!(type_of_spin(&[("phases", "2")]), TypeId::of::<Erased>());
    }
}
