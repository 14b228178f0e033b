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
    public void Broadcast_KeepsSymbols_WhereOneSideIsOneOrBothAreEqual()
    {
        Shape? result = Shape.Broadcast(new Shape((Dim)Batch, 1, 5), new Shape((Dim)Time, 5));
        Assert.AreEqual("[batch,time,5]", result!.ToString());
        Assert.AreEqual("[?]", Shape.Broadcast(new Shape((Dim)Batch), new Shape((Dim)Time))!.ToString(), "either may be 1");
        Assert.IsNull(Shape.Broadcast(null, result));
    }
}
