using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Constant nodes become initializers, so that one form of constant is left, and those of bodies move to the
/// main graph, where parameters are looked for. Constant nodes are literals of the program, never parameters: the
/// returned set tells the classification which initializers were there before.</summary>
internal static class ConstantsToInitializers
{
    public static void Run(OnnxModel model, ISet<Value> literals) => Run(model.Graph, model.Graph, literals);

    private static void Run(OnnxGraph main, OnnxGraph graph, ISet<Value> literals)
    {
        var gone = new HashSet<Node>();
        foreach (Node node in graph.Nodes.Where(n => n.Is("Constant")))
        {
            if (Data(node) is not TensorData data || node.Outputs[0] is not Value value) continue;
            value.Producer = null;
            value.Data = data;
            value.Type = data.Type;
            value.Shape = Shape.Of(data.Dimensions);
            graph.Initializers.Add(value);
            gone.Add(node);
            literals.Add(value);
        }
        graph.Nodes.RemoveAll(gone.Contains);
        foreach (OnnxGraph body in graph.Nodes.SelectMany(n => n.Subgraphs)) Run(main, body, literals);
        if (graph == main) return;
        // Bodies beside each other may use one name for two values. The second is known by no name of the file, so it
        // is not trained.
        var taken = main.Initializers.Select(i => i.Name).ToHashSet(StringComparer.Ordinal);
        foreach (Value initializer in graph.Initializers)
        {
            if (taken.Contains(initializer.Name))
            {
                initializer.Name = main.Names.Unique(initializer.Name);
                literals.Add(initializer);
            }
            taken.Add(initializer.Name);
            main.Initializers.Add(initializer);
        }
        graph.Initializers.Clear();
    }

    private static TensorData? Data(Node node)
    {
        if (node.Tensor("value") is TensorData tensor) return tensor;
        if (node.Has("value_int")) return TensorData.Scalar(node.Int("value_int", 0));
        if (node.Has("value_float")) return TensorData.Scalar(node.Float("value_float", 0));
        if (node.Ints("value_ints") is long[] ints) return TensorData.From<long>(ints, ints.Length);
        if (node.Floats("value_floats") is float[] floats) return TensorData.From<float>(floats, floats.Length);
        return null;
    }
}
