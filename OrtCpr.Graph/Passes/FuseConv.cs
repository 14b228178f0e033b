using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>A Conv that our kernel may do in fewer products becomes an operator of ours: 3 × 3 taps, no strides, a
/// weight that is trained. For a weight that does not change ONNX Runtime has a layout of its own.</summary>
internal static class FuseConv
{
    /// <summary>The kernel's own limit, below which it is ONNX Runtime's Conv.</summary>
    private const long FewestChannels = 32;

    public static void Run(OnnxModel model)
    {
        bool any = false;
        foreach (Node conv in model.Graph.Nodes.Where(n => n.Is("Conv")))
        {
            if (Geometry(conv) is not ConvWindow window) continue;
            (conv.Domain, conv.OpType) = (OperatorDefinition.Domain, conv.In(2) is null ? "ConvForward" : "ConvForwardBias");
            foreach (string attribute in new[] { "auto_pad", "group", "kernel_shape" }) conv.Unset(attribute);
            conv.Set("strides", window.Strides);
            conv.Set("dilations", window.Dilations);
            conv.Set("pads", window.Pads!);
            any = true;
        }
        if (any) OperatorTable.Attach(model);
    }

    private static ConvWindow? Geometry(Node conv)
    {
        Value x = conv.Inputs[0]!, w = conv.Inputs[1]!;
        bool large = x is { Type: ElementType.Float, Shape.Rank: 4 } && w is { IsInitializer: false, Shape.Rank: 4 }
            && w.Shape[0].Known >= FewestChannels && w.Shape[1].Known >= FewestChannels;
        if (!large || w.Shape![2].Known != 3 || w.Shape[3].Known != 3) return null;
        var window = ConvWindow.Of(conv);
        return window is { Group: 1, HasUnitStrides: true, Pads: not null } && window.Dilations.All(d => d == 1) ? window : null;
    }
}
