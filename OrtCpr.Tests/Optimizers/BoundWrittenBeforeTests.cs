using System.Text;
using System.Text.Json;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.OrtTraining;

namespace OrtCpr.Tests.Optimizers;

/// <summary>Bounds in files: as they are written now, and as they were written before they were a type.</summary>
[TestClass]
public sealed class BoundWrittenBeforeTests
{
    private static ConstrainNorm Read(string constraint)
    {
        string json = $$"""{"Options":{"Groups":[{"Links":[{"link":"scale_by_adam"},{{constraint}}]}]},"Parameters":[]}""";
        return BoundWrittenBefore.Parse(Encoding.UTF8.GetBytes(json))
            .Deserialize(OptimizerModelJson.Default.OptimizerModelDescription)!.Options.Groups[0].Constraint!;
    }

    [TestMethod]
    public void EveryMethodOfOldFiles_IsRead()
    {
        (string Json, Bound Expected)[] cases =
        [
            ("\"KappaInitMethod\":\"Uniform\",\"KappaInitParam\":0.5,\"KappaScale\":\"Mean\"", Bound.Fixed(0.5, KappaScale.Mean)),
            ("\"KappaInitMethod\":\"Uniform\",\"KappaInitParam\":\"Infinity\"", Bound.Fixed(double.PositiveInfinity)),
            ("\"KappaInitMethod\":\"Dependent\",\"KappaInitParam\":0.9", Bound.TimesInitial(0.9)),
            ("\"KappaInitMethod\":\"WarmStart\",\"KappaInitParam\":null,\"SampleInterval\":null", Bound.AfterSteps()),
            ("\"KappaInitMethod\":\"WarmStart\",\"KappaInitParam\":30,\"MaxWaitSteps\":0", Bound.AfterSteps(30)),
            ("\"KappaInitMethod\":\"InflectionPoint\",\"KappaInitParam\":null,\"SampleInterval\":20,\"SampleDecay\":0.5,\"MaxWaitSteps\":7",
                Bound.AtInflection(20, 0.5, 7)),
        ];
        foreach ((string json, Bound expected) in cases)
        {
            ConstrainNorm read =
                Read($"{{\"link\":\"constrain_norm\",\"Regularizer\":\"Std\",{json},\"KappaUpdate\":2,\"Adaptive\":true}}");
            Assert.AreEqual(new ConstrainNorm { Regularizer = Regularizer.Std, Bound = expected, KappaUpdate = 2, Adaptive = true }, read);
        }
    }

    [TestMethod]
    public void EveryBound_IsWrittenAndReadAgain()
    {
        foreach (Bound bound in new[] { Bound.Fixed(double.PositiveInfinity, KappaScale.Mean), Bound.TimesInitial(0.9),
            Bound.AfterSteps(), Bound.AfterSteps(3), Bound.AtInflection(5, 0.1, 9) })
        {
            ConstrainNorm constraint = new() { Bound = bound };
            var description = new OptimizerModelDescription(
                new OptimizerOptions { Groups = [UpdateRule.AdamCpr(constraint: constraint) with { Parameters = ["fc*"] }] }, []);
            byte[] json = JsonSerializer.SerializeToUtf8Bytes(description, OptimizerModelJson.Default.OptimizerModelDescription);
            OptimizerModelDescription read = BoundWrittenBefore.Parse(json)
                .Deserialize(OptimizerModelJson.Default.OptimizerModelDescription)!;
            Assert.AreEqual(constraint, read.Options.Groups[0].Constraint);
            Assert.AreEqual("fc*", read.Options.Groups[0].Parameters.Single().Text);
        }
    }
}
