using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Half-precision models train in float32: every float16 or bfloat16 initializer, constant, input and output
/// becomes float32 with the same values, and casts to half types become casts to float32. The exported model gets the
/// original types back.</summary>
internal static class MasterWeights
{
    /// <summary><c>to</c>: Double widens float32 too.</summary>
    public static bool Run(OnnxModel model, ElementType to = ElementType.Float) =>
        Convert(model.Graph, to, type => type.IsFloating() && type != to && type != ElementType.Double);

    /// <summary>A copy of a float64 model in float32, for what does not depend on the width; null where the model has other
    /// floating types too.</summary>
    public static OnnxModel? Narrowed(OnnxModel model)
    {
        OnnxModel copy = GraphCopier.Copy(model).Model;
        return !Convert(GraphCopier.Copy(model).Model.Graph, ElementType.Double, type => type.IsFloating() && type != ElementType.Double)
            && Convert(copy.Graph, ElementType.Float, type => type == ElementType.Double) ? copy : null;
    }

    private static bool Convert(OnnxGraph graph, ElementType to, Func<ElementType, bool> from)
    {
        bool any = false;
        foreach (Value value in graph.Inputs.Concat(graph.Initializers).Concat(graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>()))
        {
            if (value.Data is TensorData data && from(data.Type))
            {
                value.Data = data.ConvertTo(to);
                any = true;
            }
            if (!from(value.Type)) continue;
            value.Type = to;
            any = true;
        }
        foreach (Node node in graph.Nodes)
        {
            if (node.Is("Cast") && from((ElementType)node.Int("to", 0)))
            {
                node.Set("to", (long)to);
                any = true;
            }
            foreach ((string name, object attribute) in node.Attributes.ToList())
            {
                if (attribute is TensorData tensor && from(tensor.Type))
                {
                    node.Set(name, tensor.ConvertTo(to));
                    any = true;
                }
            }
            foreach (OnnxGraph body in node.Subgraphs) any |= Convert(body, to, from);
        }
        return any;
    }
}
