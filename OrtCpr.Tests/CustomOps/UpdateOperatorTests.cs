using Microsoft.ML.OnnxRuntime;
using OrtCpr.CustomOps;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;
using OrtCpr.Tests.Kernels;

namespace OrtCpr.Tests.CustomOps;

[TestClass]
public sealed class UpdateOperatorTests
{
    [TestMethod]
    public void EveryOperator_FollowsTheSpecification_InASession()
    {
        // Every base rule, every regularizer and every bound; not all of their combinations, which the kernel's own test goes through.
        UpdateVariant[] variants =
            [.. UpdateVariant.All.Where(v => v.Base.Name == "Adam" || v.Method is null || v
            is { Regularizer: Regularizer.L2, Method: BoundKind.WarmStart })];
        using CustomOpDomain domain = new(variants.Select(v => KernelCatalog.Find(v.Definition)!));
        foreach (UpdateVariant variant in variants)
        {
            UpdateScenario scenario = new(variant, 50);
            ReferenceUpdate expected = new(scenario);
            using OperatorSession session = new(variant.Definition, domain: domain);
            using UpdateFeeds feeds = new(scenario, inPlace: false);
            for (int t = 1; t <= UpdateScenario.Steps; t++)
            {
                expected.Step(t);
                feeds.Step(session, t);
                Close.AssertState(expected, feeds.State, feeds.Constraint, scenario, t);
            }
        }
    }

    [TestMethod]
    public void Session_GivesTheSameBits_OnOneThreadAndTwo_InPlaceAndNot()
    {
        foreach (string name in new[] { "Adam", "AdamWCpr_l2_uniform_amsgrad", "AdamCpr_std_inflection_point" })
        {
            UpdateScenario scenario = new(UpdateVariant.Named(name), (9 * Chunks.Length) + 5);
            using OperatorSession alone = new(UpdateVariant.Named(name).Definition, threads: 1);
            using OperatorSession together = new(UpdateVariant.Named(name).Definition, threads: 2);
            using UpdateFeeds expected = new(scenario, inPlace: false);
            using UpdateFeeds actual = new(scenario, inPlace: true);
            for (int t = 1; t <= UpdateScenario.Steps; t++)
            {
                expected.Step(alone, t);
                actual.Step(together, t);
            }
            AssertSame(expected.State, actual.State, name);
            Assert.AreEqual(expected.Constraint, actual.Constraint, name);
        }
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void StepThatIsNotApplied_ChangesNothing_AndDoesNotLookAtTheGradient(bool inPlace)
    {
        const string name = "AdamWCpr_l2_dependent_amsgrad";
        UpdateScenario scenario = new(UpdateVariant.Named(name), 50);
        using OperatorSession session = new(UpdateVariant.Named(name).Definition);
        using UpdateFeeds feeds = new(scenario, inPlace);
        for (int t = 1; t <= 3; t++)
            feeds.Step(session, t);
        float[][] state = [.. feeds.State.Select(values => values.ToArray())];
        ConstraintState constraint = feeds.Constraint;

        feeds.Overrides["gradient"] = OperatorSession.Value([float.NaN], 1);
        feeds.Step(session, 4, apply: false);
        AssertSame(state, feeds.NewState, "state");
        Assert.AreEqual(constraint, feeds.Constraint);
    }

    [TestMethod]
    public void EmptyTensor_IsUpdated_ToAnEmptyTensor()
    {
        foreach (string name in new[] { "Adam", "AdamCpr_l2_dependent", "AdamCpr_std_dependent_amsgrad" })
        {
            using OperatorSession session = new(UpdateVariant.Named(name).Definition, threads: 2);
            using UpdateFeeds feeds = new(new(UpdateVariant.Named(name), 0), inPlace: false);
            feeds.Step(session, 1);
            Assert.AreEqual(0, feeds.Constraint.Lambda);
        }
    }

    [TestMethod]
    public void BetaZero_HasNoBiasToCorrect()
    {
        using OperatorSession session = new(UpdateVariant.Named("Adam").Definition);
        using UpdateFeeds feeds = new(new(UpdateVariant.All.First(), 5), inPlace: true);
        foreach (string name in new[] { "1", "2" })
        {
            feeds.Overrides["beta" + name] = OperatorSession.Value<float>([0]);
            feeds.Overrides["one_minus_beta" + name] = OperatorSession.Value<float>([1]);
            feeds.Overrides["half_log_beta" + name] = OperatorSession.Value([float.PositiveInfinity]);
        }
        float before = feeds.State[0][0];
        feeds.Step(session, 1);
        // m/sqrt(v) is the sign of the gradient, which points away from 0; what is left is the rounding of θ.
        Assert.AreEqual(UpdateScenario.LearningRate(1), Math.Abs(feeds.State[0][0] - before), 1e-6f);
    }

    [TestMethod]
    [DataRow("exp_avg", "AdamCpr_l2_inflection_point: input 'exp_avg' has 3 elements, expected 50.")]
    [DataRow("gradient", "AdamCpr_l2_inflection_point: input 'gradient' has 3 elements, expected 50.")]
    [DataRow("kappa", "AdamCpr_l2_inflection_point: input 'kappa' has 3 elements, expected 5.")]
    [DataRow("detector", "AdamCpr_l2_inflection_point: input 'detector' has 3 elements, expected 20.")]
    [DataRow("epsilon", "AdamCpr_l2_inflection_point: input 'epsilon' has 3 elements, expected 1.")]
    public void WrongLength_IsAnError_ThatNamesTheInput(string input, string message)
    {
        OrtValue wrong = OperatorSession.Value<float>([0, 0, 0], 3);
        StringAssert.Contains(ErrorOf(input, wrong), message);
    }

    [TestMethod]
    [DataRow("parameter_index", 4L, "parameter_index 4 is outside 'step', which has 4 elements.")]
    [DataRow("group_index", -1L, "group_index -1 is outside 'learning_rate', which has 2 elements.")]
    [DataRow("matrix_index", 5L, "matrix_index 5 is outside 'lambda', which has 5 elements.")]
    [DataRow("sample_interval", 0L, "'sample_interval' is 0, expected 1 or more.")]
    public void WrongNumber_IsAnError_ThatNamesTheInput(string input, long number, string message) =>
        StringAssert.Contains(ErrorOf(input, OperatorSession.Value([number])), message);

    [TestMethod]
    public void StepZero_IsAnError()
    {
        OrtValue steps = OperatorSession.Value<long>([1, 1, 0, 1], 4);
        StringAssert.Contains(ErrorOf("step", steps), "'step' is 0; it counts from 1");
    }

    private static string ErrorOf(string input, OrtValue value)
    {
        const string name = "AdamCpr_l2_inflection_point";
        using OperatorSession session = new(UpdateVariant.Named(name).Definition);
        using UpdateFeeds feeds = new(new(UpdateVariant.Named(name), 50), inPlace: false);
        feeds.Overrides[input] = value;
        return Assert.ThrowsExactly<OnnxRuntimeException>(() => feeds.Step(session, 1)).Message;
    }

    private static void AssertSame(float[][] expected, float[][] actual, string what)
    {
        for (int i = 0; i < expected.Length; i++)
            Assert.IsTrue(expected[i].AsSpan().SequenceEqual(actual[i]), $"{what}, tensor {i}");
    }
}
