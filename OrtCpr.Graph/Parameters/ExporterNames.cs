using System.Text.RegularExpressions;

namespace OrtCpr.Graph.Parameters;

/// <summary>Names that exporters give to numbers of the program (√d, ½, ε), as far as they write them as initializers.
/// A scalar with such a name is no parameter unless somebody says so.</summary>
internal static partial class ExporterNames
{
    public static bool IsConstant(string name) => Known().IsMatch(name);

    // PyTorch's newer exporter: val_12, scalar_tensor_default_3, clone; its older one: onnx::Mul_34,
    // /layer/Constant_output_0. tf2onnx and keras2onnx: const_fold_opt__7, Const:0, block/mul/x:0, truediv/y.
    // ONNX Runtime's and onnxsim's passes: ortshared_1_0_1_0_token_9. Our own builder: const/0.5.
    [GeneratedRegex(@"^(val|_val|const|zeros|ones|full_like|clone|arange|eye|empty|lifted_tensor|scalar_tensor|zero|eps(ilon)?)"
        + @"([._:/0-9]|$)"
        + @"|_default(_\d+)?$|^onnx::|^_to_copy|^const_fold_opt|^int64_|^ortshared_|Constant(_\d+)?(_output_\d+)?$"
        + @"|(^|/)Const(_\d+)?(:\d+)?$|/(x|y|add_const|epsilon)(:\d+)?$|^\d+$",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Known();
}
