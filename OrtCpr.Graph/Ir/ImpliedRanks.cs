namespace OrtCpr.Graph.Ir;

/// <summary>Ranks that an operator demands of its inputs: what inference could not follow up to there, behind a branch
/// or a loop, is known from there on.</summary>
internal static class ImpliedRanks
{
    /// <summary>Operator → input and its rank.</summary>
    private static readonly Dictionary<string, (int Input, int Rank)[]> Demanded = new(StringComparer.Ordinal)
    {
        ["LSTM"] = [(0, 3), (5, 3), (6, 3)],
        ["GRU"] = [(0, 3), (5, 3)],
        ["RNN"] = [(0, 3), (5, 3)],
        ["Gemm"] = [(0, 2), (1, 2)],
        ["DepthToSpace"] = [(0, 4)],
        ["SpaceToDepth"] = [(0, 4)],
        ["MaxRoiPool"] = [(0, 4)],
        ["RoiAlign"] = [(0, 4)],
    };

    /// <summary>Operators whose first input has the rank of another one.</summary>
    private static readonly Dictionary<string, int> RankOf = new(StringComparer.Ordinal)
    {
        ["Conv"] = 1,
        ["ConvTranspose"] = 1,
        ["DeformConv"] = 1,
    };

    /// <summary>Gives inputs of unknown rank the one that the node demands, with unknown dimensions.</summary>
    public static void Apply(Node node)
    {
        if (node.Domain.Length > 0) return;
        if (Demanded.TryGetValue(node.OpType, out (int Input, int Rank)[]? inputs))
        {
            foreach ((int input, int rank) in inputs) Give(node.In(input), rank);
        }
        else if (RankOf.TryGetValue(node.OpType, out int other) && node.In(other)?.Shape is Shape known)
        {
            Give(node.In(0), known.Rank);
        }
    }

    private static void Give(Value? value, int rank)
    {
        if (value is not null) value.Shape ??= new Shape(Enumerable.Repeat(Dim.Unknown, rank));
    }
}
