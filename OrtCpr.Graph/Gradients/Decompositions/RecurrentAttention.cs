using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>The attention of com.microsoft AttnLSTM for one direction: a = softmax(tanh(M·MW + h·QW)·v)·M over the
/// steps of a memory, or [h, a]·AW where there is such a layer. The step after sees it beside its input.</summary>
internal sealed class RecurrentAttention
{
    private readonly Value _keys, _memory, _vector;
    private readonly Value _query;
    private readonly Value? _inside, _hiddenLayer, _contextLayer;

    /// <summary>Part takes an input of the node for this direction.</summary>
    public RecurrentAttention(GraphBuilder g, Node node, Value x, Func<int, Value?> part)
    {
        if (Enumerable.Range(8, 4).Any(i => node.In(i) is null))
        {
            throw new UnsupportedGradientException(
                $"Node {node.Label} lacks one of QW, MW, V and M, without which its kernel does not run. Give all four, or use LSTM.");
        }
        Value weights = part(1)!, size = g.DimOf(x, 2), hidden = g.DimOf(part(2)!, 1);
        InputWeights = Rows(g, weights, 1, g.Ints(0), size);
        StateWeights = Rows(g, weights, 1, size, g.Ints(long.MaxValue));
        _memory = node.Inputs[11]!;
        _query = part(8)!;
        _keys = g.MatMul(_memory, part(9)!);
        _vector = g.Unsqueeze(part(10)!, 1);
        if (node.In(12) is Value lengths)
            _inside = g.Unsqueeze(g.Cast(g.Positions(g.DimOf(_memory, 1)), lengths.Type) < g.Unsqueeze(lengths, 1), 2);
        Value? layer = part(13);
        if (layer is not null)
            (_hiddenLayer, _contextLayer) = (Rows(g, layer, 0, g.Ints(0), hidden), Rows(g, layer, 0, hidden, g.Ints(long.MaxValue)));
        First = g.FilledOf(0, g.Concat(0, g.DimOf(x, 1), g.DimOf(layer ?? _memory, -1)), x.Type);
        First.Shape = new Shape(x.Shape?[1] ?? Dim.Unknown, (layer ?? _memory).Shape?[^1] ?? Dim.Unknown);
    }

    /// <summary>The columns of W for the input and for the attention.</summary>
    public Value InputWeights { get; }

    public Value StateWeights { get; }

    /// <summary>Zeros, with initial states too.</summary>
    public Value First { get; }

    public Term After(GraphBuilder g, Value h)
    {
        Term scores = g.MatMul(g.Tanh(_keys + g.Unsqueeze(g.MatMul(h, _query), 1)), _vector);
        if (_inside is not null) scores = g.Where(_inside, scores, AttentionCore.Lowest(scores.Type));
        Term context = g.ReduceSum(g.Softmax(scores, 1) * _memory, false, 1);
        return _hiddenLayer is null ? context : g.MatMul(h, _hiddenLayer) + g.MatMul(context, _contextLayer!);
    }

    private static Term Rows(GraphBuilder g, Value x, long axis, Value from, Value to) => g.Op("Slice", [x, from, to, g.Ints(axis)]);
}
