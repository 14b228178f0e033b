using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Graph.Passes;

/// <summary>A model file as a graph in one form: no functions, no Constant nodes, opset 18 or later, no half precision.</summary>
internal static class RegulariseModel
{
    /// <summary>Reads the graph.</summary>
    /// <param name="file">The model.</param>
    /// <param name="drawn">Weights that the file only describes.</param>
    /// <param name="rules">Functions of the model that have a rule here stay calls.</param>
    public static OnnxModel Run(ModelFile file, IReadOnlyDictionary<string, TensorData> drawn,
        GradientRules? rules = null)
    {
        OnnxModel model = GraphReader.Read(file, drawn);
        model.Opsets.TryAdd("com.microsoft", 1);
        InlineFunctions.Run(model, rules);
        RefuseUnknownDomains(model, file.Name);
        ConstantsToInitializers.Run(model, file.Places);
        InlineBranches.Run(model);
        LowerLinearModels.Run(model, file.Places);
        SparseOperands.Run(model.Graph);
        UpgradeOpset.Run(model);
        TimeFirst.Run(model.Graph);
        MasterWeights.Run(model);
        model.Graph.Sort();
        GraphChecker.Check(model, "regularise");
        return model;
    }

    private static void RefuseUnknownDomains(OnnxModel model, string name)
    {
        string[] problems =
        [
            .. model.Graph.Nodes.Where(n => !model.Opsets.ContainsKey(n.Domain))
                .Select(n =>
                    $"node {n.Label}: the domain '{n.Domain}' is not among opset_import, and no function of the model has that name")
                    .Distinct(),
        ];
        if (problems.Length == 0) return;
        ModelFormatException.Throw(
            name, "uses operators that it neither imports nor defines", problems, "Export it again, or check it with onnx.checker.");
    }
}
