using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Layers of experts of which each token visits a few.</summary>
internal static class ExpertDecompositions
{
    public static readonly IReadOnlyDictionary<string, Decomposition> Table = new Dictionary<string, Decomposition>(StringComparer.Ordinal)
    {
        ["com.microsoft.MoE"] = MoE,
    };

    /// <summary>y = Σ over the k most probable experts e of p[e]·(W2[e]·f(W1[e]·x + b1[e]) + b2[e]). The choice is a
    /// constant, the probabilities are not. An expert computes as many tokens as the busiest one has, so that all are
    /// one batched product; those beyond its own weigh 0.</summary>
    private static Value?[] MoE(GraphBuilder g, Node node)
    {
        Check(node);
        Term input = g.In(node, 0), x = g.Reshape(input, g.Concat(0, g.Ints(-1), g.DimOf(input, -1)));
        Term weights = Weights(g, node, x.Type);
        Term visits = g.ReduceSum(g.Cast(weights > 0, ElementType.Int64), false, 0);
        Term[] busiest = g.Ops("TopK", 2, [g.Transpose(weights, 1, 0), g.Reduce("ReduceMax", visits, true)], ("axis", -1));
        Term share = busiest[0].Typed(x.Type, Unknown(2)), token = busiest[1].Typed(ElementType.Int64, Unknown(2));
        Term hidden = Activated(g, node, Layer(g, g.Gather(x, token), node.Inputs[2]!, node.In(3)));
        Term y = Layer(g, hidden, node.Inputs[4]!, node.In(5)) * g.Unsqueeze(share, -1);
        Term sum = g.Op("ScatterND", [g.Filled(0, x), g.Unsqueeze(token, -1), y], ("reduction", "add"));
        return [g.ReshapeLike(GraphBuilder.Like(sum, x), input)];
    }

    /// <summary>[tokens, experts]: the k largest probabilities of a token, of a sum of 1 where they are normalized, and
    /// 0 for the other experts.</summary>
    private static Term Weights(GraphBuilder g, Node node, ElementType type)
    {
        Term all = g.Softmax(node.Inputs[1]!, -1);
        Term[] top = g.Ops("TopK", 2, [all, g.Ints(node.Int("k", 1))], ("axis", -1));
        Term share = top[0].Typed(type, Unknown(2)), expert = top[1].Typed(ElementType.Int64, Unknown(2));
        if (node.Int("normalize_routing_weights", 0) != 0) share = share / g.ReduceSum(share, true, -1);
        return g.Op("ScatterElements", [g.Filled(0, all), expert, share], ("axis", 1)).Like(all);
    }

    /// <summary>[experts, tokens, in] times [experts, out, in], plus [experts, out].</summary>
    private static Term Layer(GraphBuilder g, Value x, Value weight, Value? bias)
    {
        Term y = g.MatMul(x, weight, false, true);
        y.Shape ??= Unknown(3);
        return bias is null ? y : y + g.Unsqueeze(bias, 1);
    }

    /// <summary>ONNX Runtime loads no model with another activation, nor one of SwiGLU that is not
    /// interleaved.</summary>
    private static Term Activated(GraphBuilder g, Node node, Term x) => node.Text("activation_type", "relu") switch
    {
        "relu" => g.Op("Relu", [x]),
        "gelu" => g.Op("com.microsoft.FastGelu", [x]),
        "silu" => x * g.Sigmoid(x),
        "identity" => x,
        _ => SwiGlu(g, node, x),
    };

    /// <summary>G·σ(α·G)·(L + β) of neighbours (G, L), G limited from above and L on both sides.</summary>
    private static Term SwiGlu(GraphBuilder g, Node node, Value x)
    {
        Term pairs = g.Reshape(x, g.Concat(0, g.DimOf(x, 0), g.DimOf(x, 1), g.Ints(-1, 2)));
        Term gate = g.Gather(pairs, g.Int(0), -1), linear = g.Gather(pairs, g.Int(1), -1);
        if (node.Has("swiglu_limit"))
        {
            Term Limit(int sign) => g.Scalar(sign * node.Float("swiglu_limit", 0), x.Type);
            (gate, linear) = (g.Min(gate, Limit(1)), g.Op("Clip", [linear, Limit(-1), Limit(1)]));
        }
        return gate * g.Sigmoid(gate * node.Float("activation_alpha", 1)) * (linear + node.Float("activation_beta", 0));
    }

    /// <summary>A layer that the CPU kernel does not run, and a mixer whose routing ONNX Runtime does not
    /// document.</summary>
    private static void Check(Node node)
    {
        if (node.In(6) is not null || node.In(7) is not null)
            throw Refused(node, "a third layer (fc3)", "Interleave its rows with those of fc1, as swiglu with swiglu_fusion 1.");
        if (node.Int("use_sparse_mixer", 0) != 0) throw Refused(node, "use_sparse_mixer", "Export the model with plain top-k routing.");
    }

    private static Shape Unknown(int rank) => new(Enumerable.Repeat(Dim.Unknown, rank));

    private static UnsupportedGradientException Refused(Node node, string found, string remedy) =>
        new($"Node {node.Label} has {found}, which is not differentiated. {remedy}");
}
