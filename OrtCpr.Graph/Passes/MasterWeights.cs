using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Half-precision models train in float32: every float16 or bfloat16 initializer, constant, input and output
/// becomes float32 with the same values, and casts to half types become casts to float32. The exported model gets the
/// original types back.</summary>
internal static class MasterWeights
{
    /// <summary><c>to</c>: Double widens float32 too.</summary>
    public static bool Run(OnnxModel model, ElementType to = ElementType.Float) => Widen(model.Graph, to);

    private static bool Widen(OnnxGraph graph, ElementType to)
    {
        bool IsNarrow(ElementType type) => type.IsFloating() && type != to && type != ElementType.Double;
        bool any = false;
        foreach (Value value in graph.Inputs.Concat(graph.Initializers).Concat(graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>()))
        {
            if (value.Data is TensorData data && IsNarrow(data.Type))
            {
                value.Data = data.ConvertTo(to);
                any = true;
            }
            if (!IsNarrow(value.Type)) continue;
            value.Type = to;
            any = true;
        }
        foreach (Node node in graph.Nodes)
        {
            if (node.Is("Cast") && IsNarrow((ElementType)node.Int("to", 0)))
            {
                node.Set("to", (long)to);
                any = true;
            }
            foreach ((string name, object attribute) in node.Attributes.ToList())
            {
                if (attribute is TensorData tensor && IsNarrow(tensor.Type))
                {
                    node.Set(name, tensor.ConvertTo(to));
                    any = true;
                }
            }
            foreach (OnnxGraph body in node.Subgraphs) any |= Widen(body, to);
        }
        return any;
    }
}
