using OrtCpr.Graph;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Tests.Ir;

[TestClass]
public sealed class SymbolicIntTests
{
    private static readonly SymbolicInt Batch = SymbolicInt.Symbol("batch"), Time = SymbolicInt.Symbol("time");

    [TestMethod]
    public void EqualPolynomials_AreEqual_HoweverWritten()
    {
        Assert.AreEqual((Batch + Time) * (Batch - Time), (Batch * Batch) - (Time * Time));
        Assert.AreEqual(SymbolicInt.Zero, Batch - Batch);
        Assert.AreEqual(Batch * Time, Time * Batch);
        Assert.AreNotEqual(Batch * Time, Batch + Time);
    }

    [TestMethod]
    public void Division_IsExact_WhereItComesOutEven()
    {
        Assert.AreEqual(Time * SymbolicInt.Of(2), Batch * Time * SymbolicInt.Of(6) / (Batch * SymbolicInt.Of(3)));
        Assert.AreEqual(7, (SymbolicInt.Of(15) / SymbolicInt.Of(2)).Constant);
        SymbolicInt half = Batch / SymbolicInt.Of(2);
        Assert.IsNull(half.Constant);
        Assert.AreEqual(half, Batch / SymbolicInt.Of(2), "the same division stays equal to itself");
        Assert.AreNotEqual(half, Time / SymbolicInt.Of(2));
    }

    [TestMethod]
    public void TheSmallestNumber_IsDividedByMinusOne_WithoutAnError()
    {
        SymbolicInt smallest = SymbolicInt.Of(long.MinValue), minusOne = SymbolicInt.Of(-1);
        Assert.AreEqual(smallest, smallest / minusOne);
        Assert.AreEqual(smallest * Batch, smallest * Batch / minusOne);
        Assert.AreEqual(smallest, smallest * Batch / (minusOne * Batch));
        Assert.AreEqual(minusOne * Batch, Batch / minusOne);
    }

    [TestMethod]
    public void AtMost_IsDecidedByTheAlgebra_NotByTheText()
    {
        SymbolicInt n = SymbolicInt.Symbol("n"), length = SymbolicInt.Symbol("len"), two = SymbolicInt.Of(2);
        Assert.IsTrue(n.IsAtMost(n));
        Assert.IsTrue((n - two).IsAtMost(n));
        Assert.IsTrue(n.IsAtMost(n * two));
        Assert.IsTrue((n / two).IsAtMost(n), "a floor division");
        Assert.IsFalse((n * two).IsAtMost(n), "its text contains that of n");
        Assert.IsFalse(length.IsAtMost(n), "its text contains that of n");
    }

    [TestMethod]
    public void ASliceThatStartsBeyondTheAxis_HasNoNegativeLength()
    {
        var graph = new OnnxGraph("slice", new NameAuthority());
        Value x = graph.AddInput("x", ElementType.Float, new Shape((Dim)Batch));
        var g = new GraphBuilder(graph);
        Term size = g.DimOf(x, 0), last = g.Ints(long.MaxValue), axis = g.Ints(0);
        Assert.AreEqual("[?]", g.Op("Slice", [x, size * g.Ints(2), last, axis]).Shape!.ToString());
        Assert.AreEqual("[3]", g.Op("Slice", [x, g.Ints(-3), last, axis]).Shape!.ToString());
        SymbolicInt half = Batch / SymbolicInt.Of(2);
        Assert.AreEqual(new Shape((Dim)(Batch - half)), g.Op("Slice", [x, size / g.Ints(2), last, axis]).Shape);
    }

    [TestMethod]
    public void Broadcast_KeepsSymbols_WhereOneSideIsOneOrBothAreEqual()
    {
        Shape? result = Shape.Broadcast(new Shape((Dim)Batch, 1, 5), new Shape((Dim)Time, 5));
        Assert.AreEqual("[batch,time,5]", result!.ToString());
        Assert.AreEqual("[?]", Shape.Broadcast(new Shape((Dim)Batch), new Shape((Dim)Time))!.ToString(), "either may be 1");
        Assert.IsNull(Shape.Broadcast(null, result));
    }
}
