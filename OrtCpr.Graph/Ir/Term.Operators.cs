namespace OrtCpr.Graph.Ir;

public readonly partial struct Term
{
    /// <summary>ONNX Add.</summary>
    public static Term operator +(Term a, Term b) => Common(a, b).Add(a, b);

    /// <inheritdoc cref="operator +(Term, Term)"/>
    public static Term operator +(Term a, Value b) => a.Builder.Add(a, b);

    /// <inheritdoc cref="operator +(Term, Term)"/>
    public static Term operator +(Value a, Term b) => b.Builder.Add(a, b);

    /// <inheritdoc cref="operator +(Term, Term)"/>
    public static Term operator +(Term a, double b) => a.Builder.Add(a, b);

    /// <inheritdoc cref="operator +(Term, Term)"/>
    public static Term operator +(double a, Term b) => b.Builder.Scalar(a, b.Type) + b;

    /// <summary>ONNX Sub.</summary>
    public static Term operator -(Term a, Term b) => Common(a, b).Sub(a, b);

    /// <inheritdoc cref="operator -(Term, Term)"/>
    public static Term operator -(Term a, Value b) => a.Builder.Sub(a, b);

    /// <inheritdoc cref="operator -(Term, Term)"/>
    public static Term operator -(Value a, Term b) => b.Builder.Sub(a, b);

    /// <inheritdoc cref="operator -(Term, Term)"/>
    public static Term operator -(Term a, double b) => a.Builder.Sub(a, b);

    /// <inheritdoc cref="operator -(Term, Term)"/>
    public static Term operator -(double a, Term b) => b.Builder.Sub(a, b);

    /// <summary>ONNX Mul.</summary>
    public static Term operator *(Term a, Term b) => Common(a, b).Mul(a, b);

    /// <inheritdoc cref="operator *(Term, Term)"/>
    public static Term operator *(Term a, Value b) => a.Builder.Mul(a, b);

    /// <inheritdoc cref="operator *(Term, Term)"/>
    public static Term operator *(Value a, Term b) => b.Builder.Mul(a, b);

    /// <inheritdoc cref="operator *(Term, Term)"/>
    public static Term operator *(Term a, double b) => a.Builder.Mul(a, b);

    /// <inheritdoc cref="operator *(Term, Term)"/>
    public static Term operator *(double a, Term b) => b.Builder.Scalar(a, b.Type) * b;

    /// <summary>ONNX Div.</summary>
    public static Term operator /(Term a, Term b) => Common(a, b).Div(a, b);

    /// <inheritdoc cref="operator /(Term, Term)"/>
    public static Term operator /(Term a, Value b) => a.Builder.Div(a, b);

    /// <inheritdoc cref="operator /(Term, Term)"/>
    public static Term operator /(Value a, Term b) => b.Builder.Div(a, b);

    /// <inheritdoc cref="operator /(Term, Term)"/>
    public static Term operator /(Term a, double b) => a.Builder.Div(a, b);

    /// <inheritdoc cref="operator /(Term, Term)"/>
    public static Term operator /(double a, Term b) => b.Builder.Div(a, b);

    /// <summary>ONNX Greater, a term of booleans.</summary>
    public static Term operator >(Term a, Term b) => Common(a, b).Greater(a, b);

    /// <inheritdoc cref="operator &gt;(Term, Term)"/>
    public static Term operator >(Term a, Value b) => a.Builder.Greater(a, b);

    /// <inheritdoc cref="operator &gt;(Term, Term)"/>
    public static Term operator >(Value a, Term b) => b.Builder.Greater(a, b);

    /// <inheritdoc cref="operator &gt;(Term, Term)"/>
    public static Term operator >(Term a, double b) => a.Builder.Greater(a, b);

    /// <inheritdoc cref="operator &gt;(Term, Term)"/>
    public static Term operator >(double a, Term b) => b.Builder.Greater(a, b);

    /// <summary>ONNX Less, a term of booleans.</summary>
    public static Term operator <(Term a, Term b) => Common(a, b).Less(a, b);

    /// <inheritdoc cref="operator &lt;(Term, Term)"/>
    public static Term operator <(Term a, Value b) => a.Builder.Less(a, b);

    /// <inheritdoc cref="operator &lt;(Term, Term)"/>
    public static Term operator <(Value a, Term b) => b.Builder.Less(a, b);

    /// <inheritdoc cref="operator &lt;(Term, Term)"/>
    public static Term operator <(Term a, double b) => a.Builder.Less(a, b);

    /// <inheritdoc cref="operator &lt;(Term, Term)"/>
    public static Term operator <(double a, Term b) => b.Builder.Less(a, b);

    /// <summary>ONNX GreaterOrEqual, a term of booleans.</summary>
    public static Term operator >=(Term a, Term b) => Common(a, b).GreaterOrEqual(a, b);

    /// <inheritdoc cref="operator &gt;=(Term, Term)"/>
    public static Term operator >=(Term a, Value b) => a.Builder.GreaterOrEqual(a, b);

    /// <inheritdoc cref="operator &gt;=(Term, Term)"/>
    public static Term operator >=(Value a, Term b) => b.Builder.GreaterOrEqual(a, b);

    /// <inheritdoc cref="operator &gt;=(Term, Term)"/>
    public static Term operator >=(Term a, double b) => a.Builder.GreaterOrEqual(a, b);

    /// <inheritdoc cref="operator &gt;=(Term, Term)"/>
    public static Term operator >=(double a, Term b) => b.Builder.GreaterOrEqual(a, b);

    /// <summary>ONNX LessOrEqual, a term of booleans.</summary>
    public static Term operator <=(Term a, Term b) => Common(a, b).LessOrEqual(a, b);

    /// <inheritdoc cref="operator &lt;=(Term, Term)"/>
    public static Term operator <=(Term a, Value b) => a.Builder.LessOrEqual(a, b);

    /// <inheritdoc cref="operator &lt;=(Term, Term)"/>
    public static Term operator <=(Value a, Term b) => b.Builder.LessOrEqual(a, b);

    /// <inheritdoc cref="operator &lt;=(Term, Term)"/>
    public static Term operator <=(Term a, double b) => a.Builder.LessOrEqual(a, b);

    /// <inheritdoc cref="operator &lt;=(Term, Term)"/>
    public static Term operator <=(double a, Term b) => b.Builder.LessOrEqual(a, b);

    /// <summary>ONNX And of booleans.</summary>
    public static Term operator &(Term a, Term b) => Common(a, b).And(a, b);

    /// <inheritdoc cref="operator &amp;(Term, Term)"/>
    public static Term operator &(Term a, Value b) => a.Builder.And(a, b);

    /// <inheritdoc cref="operator &amp;(Term, Term)"/>
    public static Term operator &(Value a, Term b) => b.Builder.And(a, b);

    /// <summary>ONNX Or of booleans.</summary>
    public static Term operator |(Term a, Term b) => Common(a, b).Or(a, b);

    /// <inheritdoc cref="operator |(Term, Term)"/>
    public static Term operator |(Term a, Value b) => a.Builder.Or(a, b);

    /// <inheritdoc cref="operator |(Term, Term)"/>
    public static Term operator |(Value a, Term b) => b.Builder.Or(a, b);

    /// <summary>ONNX Neg.</summary>
    public static Term operator -(Term a) => a.Builder.Neg(a);

    /// <summary>ONNX Not of booleans.</summary>
    public static Term operator !(Term a) => a.Builder.Not(a);
}
