using System.Collections;

namespace OrtCpr.Graph.Ir;

/// <summary>One dimension of a tensor: a number, an expression in symbols, or unknown.</summary>
public readonly record struct Dim
{
    internal Dim(SymbolicInt? size) => Size = size;

    /// <summary>Its size; null when nothing is known.</summary>
    internal SymbolicInt? Size { get; }

    /// <summary>A dimension of which nothing is known.</summary>
    public static Dim Unknown => default;

    /// <summary>A dimension of a known size.</summary>
    public static implicit operator Dim(long size) => new(SymbolicInt.Of(size));

    /// <summary>The size when it is a number; else null.</summary>
    public long? Known => Size?.Constant;

    /// <summary>True when both sizes are known to be equal, as numbers or as expressions.</summary>
    /// <param name="other">The other size; false where one of them is unknown.</param>
    public bool SurelyEquals(Dim other) => Size is not null && Size.Equals(other.Size);

    /// <inheritdoc/>
    public override string ToString() => Size?.ToString() ?? "?";
}

/// <summary>The dimensions of a tensor of known rank. Immutable. A tensor of unknown rank has no <see cref="Shape"/> (null).</summary>
public sealed class Shape : IReadOnlyList<Dim>, IEquatable<Shape>
{
    private readonly Dim[] _dims;

    /// <summary>Creates a shape.</summary>
    /// <param name="dims">The dimensions, outermost first; none for a scalar.</param>
    public Shape(params IEnumerable<Dim> dims) => _dims = [.. dims];

    /// <summary>The shape of a scalar: no dimensions.</summary>
    public static Shape Scalar { get; } = new();

    /// <summary>A shape of known sizes.</summary>
    /// <param name="sizes">Outermost first, at least 0; none for a scalar.</param>
    public static Shape Of(params IEnumerable<long> sizes) => new(sizes.Select(s => (Dim)s));

    /// <summary>Number of dimensions.</summary>
    public int Rank => _dims.Length;

    /// <inheritdoc/>
    public int Count => _dims.Length;

    /// <inheritdoc/>
    public Dim this[int index] => _dims[index];

    /// <summary>True when every dimension is a number.</summary>
    public bool IsStatic => _dims.All(d => d.Known is not null);

    /// <summary>The sizes when every dimension is a number; else null.</summary>
    public long[]? Sizes => IsStatic ? [.. _dims.Select(d => d.Known!.Value)] : null;

    /// <summary>Number of elements; null when a dimension is unknown.</summary>
    internal SymbolicInt? ElementCount
    {
        get
        {
            SymbolicInt count = SymbolicInt.One;
            foreach (Dim d in _dims)
            {
                if (d.Size is null) return null;
                count *= d.Size;
            }
            return count;
        }
    }

    /// <summary>True when both shapes are known to be equal in every dimension.</summary>
    /// <param name="other">The other shape; null for one of unknown rank, which is equal to none.</param>
    public bool SurelyEquals(Shape? other) =>
        other is not null && other.Rank == Rank && _dims.Zip(other._dims).All(p => p.First.SurelyEquals(p.Second));

    /// <summary>A copy with one dimension replaced.</summary>
    /// <param name="axis">From 0, below the rank.</param>
    /// <param name="dim">What it becomes.</param>
    public Shape With(int axis, Dim dim)
    {
        var dims = (Dim[])_dims.Clone();
        dims[axis] = dim;
        return new Shape(dims);
    }

    /// <summary>A constant target for Reshape between two shapes: numbers, 0 for a dimension that stays where it is, -1
    /// at most once; null where that is not enough.</summary>
    internal static long[]? ReshapeTarget(Shape from, Shape to)
    {
        long[] target = new long[to.Rank];
        int open = 0;
        for (int i = 0; i < target.Length; i++)
        {
            if (to[i].Known is long n && n > 0) target[i] = n;
            else if (i < from.Rank && to[i].SurelyEquals(from[i])) target[i] = 0;
            else if (to[i].Size is not null && ++open == 1) target[i] = -1;
            else return null;
        }
        return target;
    }

    /// <summary>An axis counted from the front: <paramref name="axis"/> itself, or plus the rank when it is negative.</summary>
    /// <param name="axis">From −rank to rank − 1; not checked.</param>
    public int Axis(long axis) => (int)(axis < 0 ? axis + Rank : axis);

    /// <summary>Shape of the broadcast of two tensors (ONNX multidirectional broadcasting); null when a rank is unknown.</summary>
    /// <param name="a">One shape; null for an unknown rank.</param>
    /// <param name="b">The other.</param>
    public static Shape? Broadcast(Shape? a, Shape? b)
    {
        if (a is null || b is null) return null;
        int rank = Math.Max(a.Rank, b.Rank);
        var dims = new Dim[rank];
        for (int i = 0; i < rank; i++)
        {
            Dim x = i < rank - a.Rank ? 1 : a[i - (rank - a.Rank)];
            Dim y = i < rank - b.Rank ? 1 : b[i - (rank - b.Rank)];
            dims[i] = x.Known == 1 ? y
                : y.Known == 1 || x.SurelyEquals(y) ? x
                : x.Known > 1 ? x
                : y.Known > 1 ? y
                : Dim.Unknown;
        }
        return new Shape(dims);
    }

    /// <inheritdoc/>
    public bool Equals(Shape? other) => other is not null && _dims.AsSpan().SequenceEqual(other._dims);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Shape);

    /// <inheritdoc/>
    public override int GetHashCode() => _dims.Aggregate(17, (h, d) => HashCode.Combine(h, d));

    /// <inheritdoc/>
    public IEnumerator<Dim> GetEnumerator() => ((IEnumerable<Dim>)_dims).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Text such as <c>[batch,3,128]</c>.</summary>
    public override string ToString() => $"[{string.Join(',', _dims)}]";
}
