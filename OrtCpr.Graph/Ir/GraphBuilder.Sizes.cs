namespace OrtCpr.Graph.Ir;

public sealed partial class GraphBuilder
{
    /// <summary>The same vector as a constant where its elements are known.</summary>
    internal Term Folded(Value vector) =>
        vector.IsInitializer || vector.Shape is not { Rank: 1 } || _known.Constants(vector) is not long[] numbers ? Term(vector)
        : Ints(numbers);

    /// <summary>The sizes from one axis on as an INT64 vector.</summary>
    internal Term SizesFrom(int axis, Value value) =>
        value.Shape is Shape shape && shape.Skip(axis).All(d => d.Known is not null)
        ? Ints([.. shape.Skip(axis).Select(d => d.Known!.Value)])
        : Op("Shape", [value], ("start", axis));

    /// <summary>The sizes of the first axes as an INT64 vector.</summary>
    internal Term SizesTo(int axis, Value value) =>
        value.Shape is Shape shape && shape.Take(axis).All(d => d.Known is not null)
        ? Ints([.. shape.Take(axis).Select(d => d.Known!.Value)])
        : Op("Shape", [value], ("end", axis));

    /// <summary>Zeros (or another number) in a shape that is an INT64 vector.</summary>
    internal Term FilledOf(double value, Value sizes, ElementType type) =>
        Op("ConstantOfShape", [sizes], ("value", Reshaped(ScalarData(value, type), 1)));

    /// <summary>0, 1 … n - 1 for a vector [n], INT64.</summary>
    internal Term Positions(Value count) => Op("Range", [Int(0), Squeeze(count, 0), Int(1)]);

    /// <summary>[C] → [C, 1 …], which broadcasts against [N, C, …] of that rank.</summary>
    internal Term PerChannel(Value vector, int rank) =>
        rank == 2 ? Term(vector) : Reshape(vector, [.. Enumerable.Range(0, rank - 1).Select(i => i == 0 ? -1L : 1L)]);

    /// <summary>The identity matrix of size n for a vector [n].</summary>
    internal Term Eye(Value size, ElementType type) => Op("EyeLike", [FilledOf(0, Concat(0, size, size), type)]);

    /// <summary>Pads the axes from <c>first</c> on by vectors of counts, with zeros; negative counts cut.</summary>
    internal Term PadFrom(int first, Value value, Value begin, Value end)
    {
        (begin, end) = (Folded(begin), Folded(end));
        if (begin.ConstantIntegers is long[] b && end.ConstantIntegers is long[] e)
        {
            if (b.Concat(e).All(n => n == 0)) return Term(value);
            return Op("Pad", [value, Ints([.. new long[first], .. b, .. new long[first], .. e])]);
        }
        Value still = Ints(new long[first]);
        return Op("Pad", [value, Concat(0, still, begin, still, end)]);
    }

    /// <summary>Moves one axis to the end and back around <c>change</c>; the rank must be known.</summary>
    internal Term OnLastAxis(Value value, int axis, Func<Value, Value> change)
    {
        int rank = value.Shape!.Rank;
        long[] swap = [.. Enumerable.Range(0, rank).Select(i => (long)i)];
        (swap[axis], swap[rank - 1]) = (swap[rank - 1], swap[axis]);
        Value changed = change(Transpose(value, swap));
        changed.Shape ??= new Shape(Enumerable.Repeat(Dim.Unknown, rank));
        return Transpose(changed, swap);
    }
}
