using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Passes;

/// <summary>LinearRegressor and LinearClassifier of ai.onnx.ml as products and sums, their coefficients as parameters
/// that are written back into the node's attributes.</summary>
internal static class LowerLinearModels
{
    private const string Domain = "ai.onnx.ml";

    public static void Run(OnnxModel model, TensorPlaces places)
    {
        var pieces = new Dictionary<Node, IReadOnlyList<Node>>();
        foreach (Node node in model.Graph.Nodes)
        {
            if (node.Domain != Domain || node.OpType is not ("LinearRegressor" or "LinearClassifier")) continue;
            var written = new List<Node>();
            var g = new GraphBuilder(model.Graph, sink: written) { Scope = node.Name.Length > 0 ? node.Name : node.Outputs[0]!.Name };
            if (node.OpType == "LinearRegressor") Regressor(g, node, places);
            else Classifier(g, node, places);
            pieces[node] = written;
        }
        model.Graph.Splice(pieces);
    }

    private static void Regressor(GraphBuilder g, Node node, TensorPlaces places) =>
        GiveAs(g, node, 0, Transformed(g, node, Sum(g, node, places, node.Int("targets", 1))));

    private static void Classifier(GraphBuilder g, Node node, TensorPlaces places)
    {
        TensorData labels = node.Texts("classlabels_strings") is { Length: > 0 } texts
            ? TensorData.FromStrings(texts, texts.Length)
            : TensorData.From<long>(node.Ints("classlabels_ints") ?? [], node.Ints("classlabels_ints")?.Length ?? 0);
        long rows = node.Floats("intercepts")?.Length ?? labels.ElementCount;
        if (rows != labels.ElementCount || rows < 2)
        {
            throw new UnsupportedGradientException(
                $"Node {node.Label} has {rows} row(s) of coefficients for {labels.ElementCount} class labels; expected one row a class. "
                + "Write the model with a row for each class (skl2onnx does), or as MatMul and Add.");
        }
        Term scores = Sum(g, node, places, rows);
        if (node.Outputs.Count > 0 && node.Outputs[0] is not null)
            GiveAs(g, node, 0, g.Gather(g.Constant(labels), g.Op("ArgMax", [scores], ("axis", 1), ("keepdims", 0))));
        if (node.Outputs.Count > 1 && node.Outputs[1] is not null) GiveAs(g, node, 1, Transformed(g, node, scores));
    }

    /// <summary>x · coefficientsᵀ + intercepts; coefficients [targets, features] in a row.</summary>
    private static Term Sum(GraphBuilder g, Node node, TensorPlaces places, long targets)
    {
        Value x = node.Inputs[0]!;
        if (x.Type != ElementType.Float) x = g.Cast(x, ElementType.Float);
        Value rows = g.Reshape(Parameter(g, node, places, "coefficients")
            ?? throw new ModelFormatException($"Node {node.Label} has no coefficients. Export the model again."), targets, -1);
        Term sum = g.MatMul(x, g.Transpose(rows, 1, 0));
        return Parameter(g, node, places, "intercepts") is Value intercepts ? sum + intercepts : sum;
    }

    private static Value? Parameter(GraphBuilder g, Node node, TensorPlaces places, string attribute)
    {
        if (node.Floats(attribute) is not { Length: > 0 } numbers) return null;
        FilePlace? place = places.At((node.Origin as NodeProto)?.Attribute.FirstOrDefault(a => a.Name == attribute));
        string wanted = $"{(node.Name.Length > 0 ? node.Name : node.Outputs.OfType<Value>().First().Name)}.{attribute}";
        // The place's name is taken for this very tensor.
        var value = new Value(place?.Name ?? g.Graph.Names.Unique(wanted), ElementType.Float, Shape.Of(numbers.Length))
        {
            Data = TensorData.From<float>(numbers, numbers.Length),
            Place = place,
        };
        g.Graph.Initializers.Add(value);
        return value;
    }

    private static Term Transformed(GraphBuilder g, Node node, Term scores) => node.Text("post_transform", "NONE") switch
    {
        "NONE" => scores,
        "LOGISTIC" => g.Sigmoid(scores),
        "SOFTMAX" => g.Softmax(scores, -1),
        string other => throw new UnsupportedGradientException(
            $"Node {node.Label} has post_transform {other}; expected NONE, LOGISTIC or SOFTMAX. Write the model with one of them."),
    };

    private static void GiveAs(GraphBuilder g, Node node, int output, Value result)
    {
        Value wanted = node.Outputs[output]!;
        ElementType type = wanted.Type == ElementType.Undefined ? result.Type : wanted.Type;
        Value copy = g.Identity(result);
        Node identity = copy.Producer!;
        identity.Outputs[0] = wanted;
        wanted.Producer = identity;
        wanted.Type = type;
    }
}
