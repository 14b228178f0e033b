using System.Collections.Immutable;
using System.Globalization;

namespace OrtCpr.Graph.Ir;

/// <summary>A whole number that may depend on symbolic dimensions: a polynomial with whole coefficients, in canonical form.</summary>
/// <remarks>Two values are equal when their canonical texts are equal. What has no polynomial form (a floor division that does not
/// come out even) becomes a symbol of its own, named by its operands, so that the same computation made twice stays equal.</remarks>
internal sealed class SymbolicInt : IEquatable<SymbolicInt>
{
    /// <summary>Monomial (symbols joined by '*', sorted; "" for the constant) → coefficient, never 0.</summary>
    private readonly ImmutableSortedDictionary<string, long> _terms;
    private readonly string _text;

    /// <summary>What was divided by what, where the value is a floor division that has no polynomial form.</summary>
    private (SymbolicInt Dividend, SymbolicInt Divisor)? _floor;

    private SymbolicInt(ImmutableSortedDictionary<string, long> terms)
    {
        _terms = terms;
        _text = Render(terms);
    }

    /// <summary>A dimension of a symbolic size.</summary>
    public static implicit operator Dim(SymbolicInt? size) => new(size);

    /// <summary>The number 0.</summary>
    public static SymbolicInt Zero { get; } = new(ImmutableSortedDictionary.Create<string, long>(StringComparer.Ordinal));

    /// <summary>The number 1.</summary>
    public static SymbolicInt One { get; } = Of(1);

    /// <summary>A known number.</summary>
    public static SymbolicInt Of(long value) => value == 0 ? Zero : new(Zero._terms.Add("", value));

    /// <summary>A symbol, such as <c>batch</c>.</summary>
    public static SymbolicInt Symbol(string name) => new(Zero._terms.Add(name, 1));

    /// <summary>The number, when it depends on no symbol; else null.</summary>
    public long? Constant => _terms.Count == 0 ? 0 : _terms.Count == 1 && _terms.TryGetValue("", out long c) ? c : null;

    /// <summary>Sum.</summary>
    public static SymbolicInt operator +(SymbolicInt a, SymbolicInt b)
    {
        ImmutableSortedDictionary<string, long>.Builder terms = a._terms.ToBuilder();
        foreach ((string key, long c) in b._terms)
            Accumulate(terms, key, c);
        return new(terms.ToImmutable());
    }

    /// <summary>Difference.</summary>
    public static SymbolicInt operator -(SymbolicInt a, SymbolicInt b) => a + (b * Of(-1));

    /// <summary>Product.</summary>
    public static SymbolicInt operator *(SymbolicInt a, SymbolicInt b)
    {
        ImmutableSortedDictionary<string, long>.Builder terms = Zero._terms.ToBuilder();
        foreach ((string ka, long ca) in a._terms)
        {
            foreach ((string kb, long cb) in b._terms)
                Accumulate(terms, JoinKeys(ka, kb), unchecked(ca * cb));
        }
        return new(terms.ToImmutable());
    }

    /// <summary>Division rounded as ONNX integer Div does for numbers that are not negative; exact where it comes out even.</summary>
    public static SymbolicInt operator /(SymbolicInt a, SymbolicInt b)
    {
        if (a.Equals(b)) return One;
        if (b.Constant is long divisor && divisor != 0)
        {
            if (a.Constant is long dividend) return Of(Quotient(dividend, divisor));
        }
        if (Exact(a, b) is SymbolicInt exact) return exact;
        return new(Zero._terms.Add($"floor({a}/{b})".Replace("*", "·", StringComparison.Ordinal), 1)) { _floor = (a, b) };
    }

    /// <summary>The quotient where the division comes out even for all symbols; else null.</summary>
    internal static SymbolicInt? Exact(SymbolicInt a, SymbolicInt b) =>
        a.Equals(b) ? One
        : b.Constant is long divisor && divisor != 0 && a._terms.Values.All(c => IsEven(c, divisor))
            ? new(a._terms.ToImmutableSortedDictionary(t => t.Key, t => Quotient(t.Value, divisor), StringComparer.Ordinal))
        : DivideByMonomial(a, b);

    /// <summary>True when the value is surely at most <paramref name="whole"/> for symbols of 0 or more: the rest has no
    /// negative coefficient, or the value is a floor division of the whole by a number of at least 1.</summary>
    internal bool IsAtMost(SymbolicInt whole) =>
        (whole - this)._terms.Values.All(c => c > 0) || (_floor is (SymbolicInt a, SymbolicInt b) && a.Equals(whole) && b.Constant >= 1);

    // The smallest long has no negative, so that dividing it by -1 would raise an error; it stays what it is, as in a product.
    private static long Quotient(long a, long b) => b == -1 ? unchecked(-a) : a / b;

    private static bool IsEven(long a, long b) => b == -1 || a % b == 0;

    /// <summary>The value with numbers in place of symbols; null where a symbol is left.</summary>
    internal long? Evaluate(IReadOnlyDictionary<string, long> symbols)
    {
        long sum = 0;
        foreach ((string key, long c) in _terms)
        {
            long product = c;
            foreach (string factor in Factors(key))
            {
                if (!symbols.TryGetValue(factor, out long size)) return null;
                product = unchecked(product * size);
            }
            sum = unchecked(sum + product);
        }
        return sum;
    }

    /// <summary>True when the value is surely 1 or more for symbols of 1 or more: every coefficient is positive.</summary>
    public bool IsPositive => _terms.Count > 0 && _terms.Values.All(c => c > 0);

    /// <inheritdoc/>
    public bool Equals(SymbolicInt? other) => other is not null && _text == other._text;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as SymbolicInt);

    /// <inheritdoc/>
    public override int GetHashCode() => _text.GetHashCode(StringComparison.Ordinal);

    /// <summary>Canonical text, such as <c>2*batch*sequence + 1</c>.</summary>
    public override string ToString() => _text;

    private static SymbolicInt? DivideByMonomial(SymbolicInt a, SymbolicInt b)
    {
        if (b._terms.Count != 1) return null;
        (string divisorKey, long divisor) = b._terms.First();
        string[] factors = Factors(divisorKey);
        ImmutableSortedDictionary<string, long>.Builder terms = Zero._terms.ToBuilder();
        foreach ((string key, long c) in a._terms)
        {
            List<string> rest = Factors(key).ToList();
            if (!IsEven(c, divisor) || !factors.All(rest.Remove)) return null;
            Accumulate(terms, string.Join('*', rest), Quotient(c, divisor));
        }
        return new(terms.ToImmutable());
    }

    private static string[] Factors(string key) => key.Length == 0 ? [] : key.Split('*');

    private static string JoinKeys(string a, string b) =>
        a.Length == 0 ? b : b.Length == 0 ? a : string.Join('*', Factors(a).Concat(Factors(b)).Order(StringComparer.Ordinal));

    private static void Accumulate(ImmutableSortedDictionary<string, long>.Builder terms, string key, long c)
    {
        long sum = unchecked((terms.TryGetValue(key, out long old) ? old : 0) + c);
        if (sum == 0) terms.Remove(key);
        else terms[key] = sum;
    }

    private static string Render(ImmutableSortedDictionary<string, long> terms)
    {
        if (terms.Count == 0) return "0";
        return string.Join(" + ", terms.Reverse().Select(t => t.Key.Length == 0
            ? t.Value.ToString(CultureInfo.InvariantCulture)
            : t.Value == 1 ? t.Key : string.Create(CultureInfo.InvariantCulture, $"{t.Value}*{t.Key}")));
    }
}
