using OrtCpr.CustomOps;

namespace OrtCpr.Tests.CustomOps;

/// <summary>What is told of a kernel that fails on a thread of the session, and where functions of the runtime are found.</summary>
[TestClass]
public sealed unsafe class SessionThreadsTests
{
    [TestMethod]
    public void TheFirstFailureOfALoop_IsRaisedWithItsText()
    {
        SessionThreads.Call call = new() { Body = &Fail };
        call.Do(3);
        call.Do(4);
        string message = "";
        try
        {
            call.ThrowIfFailed();
        }
        catch (InvalidOperationException error)
        {
            message = error.Message;
            Assert.IsInstanceOfType<ArgumentOutOfRangeException>(error.InnerException);
        }
        StringAssert.Contains(message, "inside a kernel: ArgumentOutOfRangeException: ");
        StringAssert.Contains(message, "chunk 3");
        call.ThrowIfFailed();
    }

    /// <summary>The table begins with CreateStatus, GetErrorCode and GetErrorMessage, whatever order reflection lists the fields
    /// in.</summary>
    [TestMethod]
    public void Functions_AreFoundByTheirPlaceInMemory()
    {
        Assert.AreEqual(0, OrtNative.SlotOf("CreateStatus"));
        Assert.AreEqual(2, OrtNative.SlotOf("GetErrorMessage"));
        StringAssert.Contains(Assert.ThrowsExactly<NotSupportedException>(() => OrtNative.SlotOf("NoSuchFunction")).Message,
            "'NoSuchFunction'");
    }

    private static void Fail(void* state, nint index) => throw new ArgumentOutOfRangeException(nameof(index), $"chunk {index}");
}
