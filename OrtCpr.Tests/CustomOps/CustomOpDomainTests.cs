using Microsoft.ML.OnnxRuntime;
using OrtCpr.CustomOps;

namespace OrtCpr.Tests.CustomOps;

[TestClass]
public sealed class CustomOpDomainTests
{
    [TestMethod]
    public void Catalog_HasEveryVariantOnce_AndNothingElse()
    {
        string[] bases = ["Adam", "AdamW"];
        string[] regularizers = ["l2", "l1", "std", "huber"];
        string[] methods = ["uniform", "dependent", "warm_start", "inflection_point"];
        string[] suffixes = ["", "_amsgrad"];
        IEnumerable<string> constraints =
            from regularizer in regularizers
            from method in methods
            from adaptive in new[] { "", "_adaptive" }
            select $"Cpr_{regularizer}_{method}{adaptive}";
        string[] expected =
        [
            "SquaredNorm", "GeluTanh", "GeluTanhGrad", "ReluGrad", "BatchNorm", "BatchNormRelu", "BatchNormAddRelu", "BatchNormGrad", "BatchNormReluGrad", "Softmax", "SoftmaxGrad", "LayerNormGrad", "RmsNormGrad",
             "GeluErf", "GeluErfGrad", "CrossEntropyRows", "CrossEntropyRowsGrad", "CrossEntropySmoothRows", "CrossEntropySmoothRowsGrad", "ConvForward", "ConvForwardBias", "ConvWeightGrad", "ConvInputGrad",
            .. from rule in bases
               from constraint in constraints.Prepend("")
               from suffix in suffixes
               select rule + constraint + suffix,
            .. from rule in (string[])["Sgd", "SgdMomentum", "SgdNesterov", "L2Sgd", "L2SgdMomentum", "L2SgdNesterov"]
               from constraint in constraints.Prepend("")
               select rule + constraint,
        ];
        CollectionAssert.AreEquivalent(expected, KernelCatalog.Names.ToArray());
        Assert.IsTrue(KernelCatalog.Supports("AdamWCpr_huber_uniform"));
        Assert.IsFalse(KernelCatalog.Supports("AdamCpr_l3_uniform"));
    }

    [TestMethod]
    public void UnknownName_IsRefused_ByName()
    {
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(() => new CustomOpDomain(["Adam", "Nadam"]));
        StringAssert.Contains(error.Message, "No kernel for operator 'ortcpr.Nadam'.");
    }

    [TestMethod]
    public void SignatureOfTheLargestVariants_IsTheContract()
    {
        CpuOperator operation = KernelCatalog.Get("AdamWCpr_std_inflection_point_amsgrad");
        Assert.AreEqual(
            "parameter gradient exp_avg exp_avg_sq max_exp_avg_sq step parameter_index learning_rate group_index gradient_scale "
            + "apply beta1 one_minus_beta1 beta2 one_minus_beta2 half_log_beta1 half_log_beta2 epsilon weight_decay lambda kappa "
            + "detector matrix_index kappa_update constraint_rate sample_interval sample_decay max_wait_steps",
            string.Join(' ', operation.Inputs.Select(input => input.Name)));
        Assert.HasCount(7, operation.Outputs);
        Assert.AreEqual("kappa_factor", KernelCatalog.Get("AdamCpr_l1_dependent").Inputs[^1].Name);
        Assert.AreEqual("warm_start_steps", KernelCatalog.Get("AdamCpr_l1_warm_start").Inputs[^1].Name);
        Assert.AreEqual("constraint_rate", KernelCatalog.Get("AdamCpr_l1_uniform").Inputs[^1].Name);
        Assert.AreEqual("epsilon", KernelCatalog.Get("Adam").Inputs[^1].Name);
    }

    [TestMethod]
    public void TwoDomains_ServeTheirSessions_SideBySide()
    {
        using OperatorSession first = new("SquaredNorm");
        using (new OperatorSession("SquaredNorm"))
        {
        }
        float[] norm = new float[1];
        using OrtValue input = OperatorSession.Value<float>([3, 4], 2);
        using OrtValue output = OperatorSession.Value(norm, 1);
        first.Run(
            new Dictionary<string, OrtValue> { ["gradient"] = input },
            new Dictionary<string, OrtValue> { ["squared_norm"] = output });
        Assert.AreEqual(25, norm[0]);
    }

    [TestMethod]
    public void DisposedDomain_CannotBeAdded()
    {
        CustomOpDomain domain = new(["Adam"]);
        domain.Dispose();
        domain.Dispose();
        using SessionOptions options = new();
        Assert.ThrowsExactly<ObjectDisposedException>(() => domain.AddTo(options));
    }

    [TestMethod]
    public void WrongNumberOfInputs_IsRefused_WhenTheSessionIsMade()
    {
        CpuOperator described = KernelCatalog.Get("Adam");
        byte[] model = OperatorModel.Of("Adam", [.. described.Inputs.SkipLast(1)], described.Outputs);
        using CustomOpDomain domain = new(["Adam"]);
        using SessionOptions options = new() { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        domain.AddTo(options);
        Assert.ThrowsExactly<OnnxRuntimeException>(() => new InferenceSession(model, options));
    }
}
