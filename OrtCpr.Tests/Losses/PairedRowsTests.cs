using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;

namespace OrtCpr.Tests.Losses;

/// <summary>InfoNCE of one output whose rows are pairs of neighbours, for models with one encoder.</summary>
[TestClass]
public sealed class PairedRowsTests
{
    private static readonly float[] Rows = [0.3f, -1.2f, 0.5f, 0.1f, -0.9f, 0.7f, 1.4f, 0.2f, -0.6f, -0.3f, 0.8f, 1.1f, 0.9f, -0.4f, 0.6f,
        -1.3f, 0.2f, 0.4f];

    [TestMethod]
    [DataRow(true, true, DisplayName = "both directions")]
    [DataRow(false, true, DisplayName = "one direction")]
    [DataRow(true, false, DisplayName = "width that nobody knows")]
    public void Loss_AndGradient_AreThoseOfTheFormula(bool symmetric, bool known)
    {
        using TrainingDriver driver = Driver(symmetric, known);
        double[] shift = new double[3];
        using (Batch batch = new Batch().Add("x", Rows, 6, 3)) Assert.AreEqual(Expected(shift, symmetric), driver.Step(batch), 1e-5);
        // A step of SGD at rate 1 is the gradient, which differences of the formula tell.
        double[] moved = driver.GetParameter("b").ToDoubles();
        for (int i = 0; i < 3; i++)
        {
            const double width = 1e-5;
            double[] up = new double[3], down = new double[3];
            (up[i], down[i]) = (width, -width);
            Assert.AreEqual((Expected(up, symmetric) - Expected(down, symmetric)) / (2 * width), -moved[i], 1e-4, $"element {i}");
        }
    }

    [TestMethod]
    public void OddRows_AreRefused_AndTheDriverGoesOn()
    {
        using TrainingDriver driver = Driver(true, true);
        using (Batch odd = new Batch().Add("x", Rows[..15], 5, 3)) Assert.ThrowsExactly<DriverException>(() => driver.Step(odd));
        using Batch even = new Batch().Add("x", Rows, 6, 3);
        Assert.AreEqual(Expected(new double[3], true), driver.Step(even), 1e-5);
    }

    private static TrainingDriver Driver(bool symmetric, bool known) => LossModels.Created(
        LossModels.Of(new Shape(LossModels.Symbol("N"), known ? 3 : LossModels.Symbol("D")),
            (g, z) => [("embedding", g.Identity(z))], 3),
        new InfoNceLoss { Temperature = 0.5, Symmetric = symmetric });

    private static double Expected(double[] shift, bool symmetric)
    {
        double[][] rows = [.. Rows.Chunk(3).Select(r => r.Select((v, i) => v + shift[i]).ToArray())
            .Select(r => r.Select(v => v / Math.Sqrt(r.Sum(e => e * e))).ToArray())];
        double Logit(int a, int b) => rows[2 * a].Zip(rows[(2 * b) + 1], (x, y) => x * y).Sum() / 0.5;
        double Loss(Func<int, int, double> logit) => Enumerable.Range(0, 3).Average(i =>
            Math.Log(Enumerable.Range(0, 3).Sum(j => Math.Exp(logit(i, j)))) - logit(i, i));
        return symmetric ? (Loss(Logit) + Loss((a, b) => Logit(b, a))) / 2 : Loss(Logit);
    }
}
