using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Graph.Passes;

/// <summary>Constant nodes become initializers, so that one form of constant is left, and those of bodies move to the
/// main graph, where parameters are looked for. A constant inside a function is one value for all calls, as it is in
/// the file.</summary>
internal sealed class ConstantsToInitializers
{
    private readonly OnnxGraph _main;
    private readonly TensorPlaces _places;
    private readonly HashSet<string> _taken;
    private readonly HashSet<Value> _hoisted;
    private readonly Dictionary<TensorPlace, Value> _shared = [];
    private readonly Dictionary<Value, Value> _replaced = [];

    private ConstantsToInitializers(OnnxGraph main, TensorPlaces places)
    {
        _main = main;
        _places = places;
        _taken = main.Initializers.Select(i => i.Name).ToHashSet(StringComparer.Ordinal);
        _hoisted = [.. main.Initializers];
    }

    /// <summary><c>places</c>: what of the file can be written back.</summary>
    public static void Run(OnnxModel model, TensorPlaces places)
    {
        foreach (FilePlace place in places.All) model.Graph.Names.Take(place.Name);
        var pass = new ConstantsToInitializers(model.Graph, places);
        pass.Run(model.Graph);
        if (pass._replaced.Count > 0) pass.Redirect(model.Graph);
    }

    private void Run(OnnxGraph graph)
    {
        var gone = new HashSet<Node>();
        foreach (Node node in graph.Nodes.Where(n => n.Is("Constant")))
        {
            if (Data(node) is not TensorData data || node.Outputs[0] is not Value value) continue;
            gone.Add(node);
            FilePlace? place = _places.At(node.Origin);
            if (place is not null && _shared.TryGetValue(place, out Value? first) && !_main.Outputs.Contains(value))
            {
                _replaced[value] = first;
                continue;
            }
            value.Producer = null;
            value.Data = data;
            value.Type = data.Type;
            value.Shape = Shape.Of(data.Dimensions);
            graph.Initializers.Add(value);
            // An output of the model keeps its name.
            if (place is null || (value.Name != place.Name && _main.Outputs.Contains(value))) continue;
            value.Name = place.Name;
            value.Place = place;
            _shared[place] = value;
        }
        graph.Nodes.RemoveAll(gone.Contains);
        foreach (OnnxGraph body in graph.Nodes.SelectMany(n => n.Subgraphs)) Run(body);
        if (graph == _main)
        {
            _taken.UnionWith(_main.Initializers.Select(i => i.Name));
            return;
        }
        foreach (Value initializer in graph.Initializers.Where(_hoisted.Add))
        {
            if (_taken.Contains(initializer.Name)) initializer.Name = _main.Names.Unique(initializer.Name);
            _taken.Add(initializer.Name);
            _main.Initializers.Add(initializer);
        }
        graph.Initializers.Clear();
    }

    private void Redirect(OnnxGraph graph)
    {
        foreach (Node node in graph.Nodes)
        {
            for (int i = 0; i < node.Inputs.Count; i++)
            {
                if (node.Inputs[i] is Value input && _replaced.TryGetValue(input, out Value? first)) node.Inputs[i] = first;
            }
            foreach (OnnxGraph body in node.Subgraphs) Redirect(body);
        }
        for (int i = 0; i < graph.Outputs.Count; i++)
        {
            if (_replaced.TryGetValue(graph.Outputs[i], out Value? first)) graph.Outputs[i] = first;
        }
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
