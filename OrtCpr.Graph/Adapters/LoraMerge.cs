using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Adapters;

// Adapters into their weights: W + (α/r)·A·B, summed in double.
internal static class LoraMerge
{
    public static ModelProto Run(ModelFile file, out Dictionary<string, TensorData> values)
    {
        ModelProto model = file.Proto.Clone();
        GraphProto graph = model.Graph;
        values = new Dictionary<string, TensorData>(StringComparer.Ordinal);
        var initializers = graph.Initializer.ToDictionary(i => i.Name, StringComparer.Ordinal);
        string[] adapted = [.. initializers.Keys.Where(n => n.EndsWith(LoraAdapters.A, StringComparison.Ordinal))
            .Select(n => n[..^LoraAdapters.A.Length])];
        string[] broken = [.. adapted.SelectMany(w => new[] { w + LoraAdapters.B, w + LoraAdapters.Scaling })
            .Where(n => !initializers.ContainsKey(n))];
        if (adapted.Length == 0 || broken.Length > 0)
        {
            throw new ModelFormatException(adapted.Length == 0
                ? $"'{file.Name}' has no adapters: no initializer ends in '{LoraAdapters.A}'."
                : $"'{file.Name}' lacks {string.Join(", ", broken)}. Export it again.");
        }
        TensorPlaces places = TensorPlaces.Of(model);
        AdaptedProduct[] products = [.. AdaptedProduct.All(model)];
        foreach (string weight in adapted)
        {
            AdaptedProduct[] uses = [.. products.Where(p => p.Weight == weight)];
            if (uses.Length == 0)
            {
                throw new ModelFormatException($"'{file.Name}': the adapter of '{weight}' stands beside no product of that weight. Merge "
                    + "the model as it was exported.");
            }
            if (uses[0].IsQuantised) continue;
            values[weight] = Sum(uses[0], places.Find(weight)!.Read(file), Matrix(LoraAdapters.A), Matrix(LoraAdapters.B),
                Matrix(LoraAdapters.Scaling).ToDoubles()[0]);
            foreach (AdaptedProduct use in uses) Detach(graph, use);
            foreach (string suffix in new[] { LoraAdapters.A, LoraAdapters.B, LoraAdapters.Scaling })
            {
                graph.Initializer.Remove(initializers[weight + suffix]);
            }

            TensorData Matrix(string suffix) => file.ReadInitializer(initializers[weight + suffix]);
        }
        return model;
    }

    private static TensorData Sum(AdaptedProduct product, TensorData weight, TensorData a, TensorData b, double scaling)
    {
        double[] w = weight.ToDoubles(), left = a.ToDoubles(), right = b.ToDoubles();
        int inputs = (int)product.Inputs, outputs = (int)product.Outputs, rank = (int)a.Dimensions[1];
        double scale = scaling / product.Factor;
        double[] row = new double[outputs];
        for (int i = 0; i < inputs; i++)
        {
            Array.Clear(row);
            for (int r = 0; r < rank; r++)
            {
                double x = left[(i * rank) + r];
                for (int o = 0; o < outputs; o++) row[o] += x * right[(r * outputs) + o];
            }
            for (int o = 0; o < outputs; o++) w[product.OutputsFirst ? (o * inputs) + i : (i * outputs) + o] += scale * row[o];
        }
        return TensorData.From<double>(w, [.. weight.Dimensions]).ConvertTo(weight.Type);
    }

    // The sum's name goes back to the product, and the adapter's four nodes go.
    private static void Detach(GraphProto graph, AdaptedProduct use)
    {
        NodeProto sum = graph.Node.First(n => n.OpType == "Add" && n.Input[0] == use.Node.Output[0]);
        string end = sum.Input[1];
        use.Node.Output[0] = sum.Output[0];
        graph.Node.Remove(sum);
        for (int i = 0; i < 3; i++)
        {
            NodeProto node = graph.Node.First(n => n.Output.Contains(end));
            end = node.Input[0];
            graph.Node.Remove(node);
        }
    }
}
