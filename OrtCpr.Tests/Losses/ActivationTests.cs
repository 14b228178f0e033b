using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using static OrtCpr.Tests.Losses.LossModels;

namespace OrtCpr.Tests.Losses;

/// <summary>Losses from logits on outputs that are probabilities: they go in front of the activation, and say so.</summary>
[TestClass]
public sealed class ActivationTests
{
    private static readonly float[] X = [1, -1, 0.5f, 2, 0, 0.25f];
    private static readonly long[] Labels = [2, 0];

    private static byte[] Ending(Func<GraphBuilder, Value, Value> end) => Of(new Shape(Symbol("N"), 3), (g, z) => [("y", end(g, z))], 3);

    public static IEnumerable<(string Name, Func<GraphBuilder, Value, Value> End)> Softmaxes =>
    [
        ("Softmax", (g, z) => g.Softmax(z, 1)),
        ("LogSoftmax", (g, z) => g.LogSoftmax(z, -1)),
        ("LogSoftmax", (g, z) => g.Log(g.Softmax(z, -1))),
        ("Softmax", (g, z) => g.Identity(g.Reshape(g.Softmax(g.Reshape(z, -1, 3), 1), -1, 3))),
        ("Softmax", (g, z) => g.Squeeze(g.Softmax(g.Unsqueeze(z, 1), 2), 1)),
        ("Softmax", (g, z) => g.Transpose(g.Softmax(g.Transpose(z, 1, 0), 0), 1, 0)),
        ("Softmax", (g, z) =>
        {
            Term exp = g.Exp(g.Sub(z, g.Reduce("ReduceMax", z, true, 1)));
            return exp / g.ReduceSum(exp, true, 1);
        }),
    ];

    // The mean of log Σ exp z − z[label] over both rows, whatever stands behind the logits.
    [TestMethod]
    public void CrossEntropy_TakesTheLogits_AndSaysSo()
    {
        double[] rows = [.. Enumerable.Range(0, 2).Select(r =>
            Math.Log(X.Skip(r * 3).Take(3).Sum(v => Math.Exp(v))) - X[(r * 3) + (int)Labels[r]])];
        foreach ((string name, Func<GraphBuilder, Value, Value> end) in Softmaxes)
        {
            using TrainingDriver driver = Created(Ending(end), new CrossEntropyLoss());
            using Batch batch = new Batch().Add("x", X, 2, 3).Add("labels", Labels, 2);
            Assert.AreEqual(rows.Average(), driver.TrainStep(batch), 1e-6, name);
            string warning = driver.Plan.Warnings.Single();
            foreach (string part in new[] { $"Output 'y' is the {name} of '", "in place of 'y'", "nll" })
                StringAssert.Contains(warning, part);
            double[] gradient = driver.GetGradient("b").ToDoubles();
            for (int c = 0; c < 3; c++)
            {
                double expected = Enumerable.Range(0, 2).Average(r => (Math.Exp(X[(r * 3) + c])
                    / X.Skip(r * 3).Take(3).Sum(v => Math.Exp(v))) - (Labels[r] == c ? 1 : 0));
                Assert.AreEqual(expected, gradient[c], 1e-6);
            }
        }
        using TrainingDriver named = Created(Ending((g, z) => g.Softmax(z, 1)), new CrossEntropyLoss { Output = "y" });
        StringAssert.Contains(named.Plan.Warnings.Single(), "is the Softmax of 'z'");
        using TrainingDriver front = Created(Ending((g, z) => g.Softmax(z, 1)), new CrossEntropyLoss { Output = "z" });
        Assert.IsEmpty(front.Plan.Warnings);
    }

    // [1 − p, p] is the Softmax of [0, z].
    [TestMethod]
    public void CrossEntropy_OfTwoClassesFromOneSigmoid()
    {
        byte[] model = Of(new Shape(Symbol("N"), 1), (g, z) =>
        {
            Term p = g.Sigmoid(z);
            return [("y", g.Concat(1, 1 - p, p))];
        }, 1);
        using TrainingDriver driver = Created(model, new CrossEntropyLoss());
        using Batch batch = new Batch().Add("x", [2f, -1], 2, 1).Add("labels", [1L, 0], 2);
        Assert.AreEqual((Math.Log(1 + Math.Exp(-2)) + Math.Log(1 + Math.Exp(-1))) / 2, driver.TrainStep(batch), 1e-6);
        Assert.IsTrue(driver.Plan.Warnings.Any(w => w.Contains("two-class Softmax of 'z'", StringComparison.Ordinal)));
    }

    // The same loss, asked for on the probabilities or their logarithms.
    [TestMethod]
    public void Nll_TakesThemAsTheyAre()
    {
        double expected = Enumerable.Range(0, 2).Average(r =>
            Math.Log(X.Skip(r * 3).Take(3).Sum(v => Math.Exp(v))) - X[(r * 3) + (int)Labels[r]]);
        foreach ((string name, Func<GraphBuilder, Value, Value> end) in Softmaxes)
        {
            using TrainingDriver driver = Created(Ending(end), new NllLoss());
            using Batch batch = new Batch().Add("x", X, 2, 3).Add("labels", Labels, 2);
            Assert.AreEqual(expected, driver.TrainStep(batch), 1e-6, name);
            Assert.IsEmpty(driver.Plan.Warnings);
        }
        // PyTorch's own sense: minus the score of the label.
        using TrainingDriver plain = Created(Ending((g, z) => g.Identity(z)), new NllLoss());
        using Batch scores = new Batch().Add("x", X, 2, 3).Add("labels", Labels, 2);
        Assert.AreEqual(-(0.5 + 2) / 2, plain.TrainStep(scores), 1e-6);
        CollectionAssert.AreEqual(new[] { -0.5, 0, -0.5 }, plain.GetGradient("b").ToDoubles());
    }

    [TestMethod]
    public void Bce_TakesTheLogits_OrTheProbabilities()
    {
        float[] targets = [1, 0, 0.25f, 1, 0, 0];
        double expected = X.Select((x, i) => Math.Log(1 + Math.Exp(-x)) + ((1 - targets[i]) * x)).Average();
        Func<GraphBuilder, Value, Value>[] ends =
        [
            (g, z) => g.Sigmoid(z),
            (g, z) => g.Op("Flatten", [g.Identity(g.Sigmoid(z))]),
            (g, z) => g.Div(1, g.Add(g.Exp(g.Neg(z)), 1)),
        ];
        foreach (Func<GraphBuilder, Value, Value> end in ends)
        {
            foreach (Loss loss in new Loss[] { new BceWithLogitsLoss(), new BceLoss() })
            {
                using TrainingDriver driver = Created(Ending(end), loss);
                using Batch batch = new Batch().Add("x", X, 2, 3).Add("target", targets, 2, 3);
                Assert.AreEqual(expected, driver.TrainStep(batch), 1e-6);
                Assert.AreEqual(loss is BceLoss ? 0 : 1,
                    driver.Plan.Warnings.Count(w => w.Contains("in place of 'y'", StringComparison.Ordinal)));
            }
        }
    }

    [TestMethod]
    public void LossesThatDoNotBelongToTheActivation()
    {
        string Refusal(Func<GraphBuilder, Value, Value> end, Loss loss) =>
            Assert.ThrowsExactly<OptionException>(() => Created(Ending(end), loss)).Message;
        StringAssert.Contains(Refusal((g, z) => g.Softmax(z, 1), new BceWithLogitsLoss()), "take CrossEntropyLoss (cross_entropy)");
        using TrainingDriver sigmoid = Created(Ending((g, z) => g.Sigmoid(z)), new CrossEntropyLoss());
        StringAssert.Contains(sigmoid.Plan.Warnings.Single(), "bce_with_logits");
        byte[] one = Of(new Shape(Symbol("N"), 1), (g, z) => [("y", g.Sigmoid(z))], 1);
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => Created(one, new CrossEntropyLoss())).Message, "has one class");
        // A Softmax over the batch is none over the classes.
        using TrainingDriver other = Created(Ending((g, z) => g.Softmax(z, 0)), new CrossEntropyLoss());
        StringAssert.Contains(other.Plan.Warnings.Single(), "not along axis 1");
        using TrainingDriver mse = Created(Ending((g, z) => g.Softmax(z, 1)), new MseLoss());
        Assert.IsEmpty(mse.Plan.Warnings);
    }
}
