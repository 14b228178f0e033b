using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

// Half-precision models train in float32: every float16 or bfloat16 initializer, constant, input and output becomes float32 with the same values, and
// casts to half types become casts to float32. The exported model gets the original types back.
internal static class MasterWeights
{
    public static bool Run(OnnxModel model) => Widen(model.Graph);

    private static bool IsHalf(ElementType type) => type is ElementType.Float16 or ElementType.BFloat16;

    private static bool Widen(OnnxGraph graph)
    {
        bool any = false;
        foreach (Value value in graph.Inputs.Concat(graph.Initializers).Concat(graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>()))
        {
            if (value.Data is TensorData data && IsHalf(data.Type))
            {
                value.Data = data.ConvertTo(ElementType.Float);
                any = true;
            }
            if (!IsHalf(value.Type)) continue;
            value.Type = ElementType.Float;
            any = true;
        }
        foreach (Node node in graph.Nodes)
        {
            if (node.Is("Cast") && IsHalf((ElementType)node.Int("to", 0)))
            {
                node.Set("to", (long)ElementType.Float);
                any = true;
            }
            foreach ((string name, object attribute) in node.Attributes.ToList())
            {
                if (attribute is TensorData tensor && IsHalf(tensor.Type))
                {
                    node.Set(name, tensor.ConvertTo(ElementType.Float));
                    any = true;
                }
            }
            foreach (OnnxGraph body in node.Subgraphs) any |= Widen(body);
        }
        return any;
    }
}
