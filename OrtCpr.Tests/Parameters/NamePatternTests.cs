using OrtCpr.Graph;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Tests.Parameters;

/// <summary>Patterns for names of parameters and nodes.</summary>
[TestClass]
public sealed class NamePatternTests
{
    [TestMethod]
    public void AnExpressionThatTakesTooLong_IsATypedError()
    {
        var pattern = new NamePattern("regex:(a+)+b");
        string name = new('a', 60);
        string message = Assert.ThrowsExactly<OptionException>(() => pattern.Matches(name)).Message;
        StringAssert.Contains(message, "regex:(a+)+b");
        StringAssert.Contains(message, "more than a second");
    }
}
