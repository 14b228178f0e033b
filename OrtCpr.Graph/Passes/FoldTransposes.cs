using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>A Transpose in front of a matrix product that swaps the last two axes becomes a flag of the product (Gemm
/// for two matrices, com.microsoft FusedMatMul for batches, float32 only: its CPU kernel has no other type). One that
/// also moves other axes keeps the rest: [0,2,3,1] becomes [0,2,1,3] and the flag, whose inner rows are copied
/// whole.</summary>
internal static class FoldTransposes
{
    public static void Run(OnnxModel model)
    {
        OnnxGraph graph = model.Graph;
        var added = new List<Node>();
        var builder = new GraphBuilder(graph, sink: added);
        foreach (Node node in graph.Nodes.ToList())
        {
            if (!node.Is("MatMul") || node.Inputs[0]!.Shape is not Shape a || node.Inputs[1]!.Shape is not Shape b || a.Rank < 2
                || b.Rank < 2)
            {
                continue;
            }
            if (node.Inputs[0]!.Type != ElementType.Float) continue;
            bool transA = Fold(builder, node, 0), transB = Fold(builder, node, 1);
            if (!transA && !transB) continue;
            bool matrices = a.Rank == 2 && b.Rank == 2;
            node.OpType = matrices ? "Gemm" : "FusedMatMul";
            node.Domain = matrices ? "" : "com.microsoft";
            node.Set("transA", transA);
            node.Set("transB", transB);
        }
        graph.Nodes.AddRange(added);
        graph.Sort();
        RemoveDeadNodes.Run(graph);
    }

    /// <summary>True when the operand is now read from in front of its Transpose, or from a cheaper one, and the
    /// product has to swap it.</summary>
    private static bool Fold(GraphBuilder builder, Node product, int index)
    {
        if (product.Inputs[index]!.Producer is not Node { OpType: "Transpose", Domain: "" } transpose
            || transpose.Inputs[0]!.Shape is not Shape source)
        {
            return false;
        }
        int rank = source.Rank;
        long[] perm = transpose.Ints("perm") ?? [.. Enumerable.Range(0, rank).Reverse().Select(i => (long)i)];
        if (perm[rank - 2] != rank - 1) return false;
        long[] rest = [.. perm];
        (rest[rank - 2], rest[rank - 1]) = (rest[rank - 1], rest[rank - 2]);
        builder.Scope = product.Inputs[index]!.Name;
        product.Inputs[index] = rest.Select((p, i) => p == i).All(same => same) ? transpose.Inputs[0]!
            : builder.Op("Transpose", [transpose.Inputs[0]], ("perm", rest));
        return true;
    }
}
