using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>What every graph goes through before it is differentiated or put on a device: less to compute, and shapes that
/// say more.</summary>
internal static class PrepareGraph
{
    public static void Run(OnnxModel model, ShapeInference known)
    {
        if (DissolveSequences.Run(model, known) | WriteOutCaches.Run(model, known)) known = InferShapes.Again(model);
        SimplifyShapes.Run(model, known);
        FoldConstants.Run(model, known);
        SlicesToSplit.Run(model, known);
        HoistSelections.Run(model, known);
        FoldTransposes.Run(model);
        FuseGelu.Run(model);
        MergeEqualNodes.Run(model.Graph);
        RemoveDeadNodes.Run(model.Graph);
        GraphChecker.Check(model, "prepare");
    }
}
